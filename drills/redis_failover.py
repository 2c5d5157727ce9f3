"""Group 3: the Redis that has the cache is killed, and a replica takes its place."""

from collections.abc import Callable, Sequence

import psycopg

from drills.api import Readers, api
from drills.drill import drill
from drills.expectations import Document
from drills.stage import Stage
from drills.steady import steady
from drills.waiting import wait_until
from tests.integration.redis.own_server import OwnServer
from tests.integration.redis.replicated import OwnCluster, Replicated, follows, running

PROMOTION_SECONDS = 20.0
"""Within which a replica is promoted; these servers are set to wait for a second at most."""
BACK_SECONDS = 15.0
"""Within which the cache is in use after that; the circuit breaker pauses for 5 s at most."""
REPLICA_SECONDS = 60.0
"""Within which the killed server, started again, has a copy; sentinels let it wait for 10 s."""

_STORED = "SELECT count(*) FROM orders WHERE order_uid = ANY(%s)"


@drill(3, "the master that sentinels monitor killed, and its replica promoted")
def sentinel_failover(stage: Stage) -> None:
    """Ingest and reads go on, and the cache is in use again without a restart."""
    servers = stage.closing.enter_context(running(Replicated(stage.folder / "sentinels")))
    _perform(stage, servers.url, lambda: servers.master)


@drill(3, "the master of a cluster that has the cache killed, and its replica promoted")
def cluster_failover(stage: Stage) -> None:
    """Likewise."""
    servers = stage.closing.enter_context(running(OwnCluster(stage.folder / "cluster")))
    _perform(stage, servers.url, lambda: servers.owner(stage.cache_prefix))


def _perform(stage: Stage, url: str, master: Callable[[], OwnServer]) -> None:
    rounds, amount = (3, 4_000) if stage.long else (1, 1_000)
    stage.consumers.environment["ORDERS_REDIS_URL"] = url
    stage.consumers.start()
    stage.wait_for_topics()
    with api(stage) as readers, steady(stage):
        known = _ingested(stage, 300)
        for _ in range(rounds):
            _wait_for_cache(stage, readers, known[-20:], master)
            killed = master()
            with stage.traffic.flow(amount, seconds=amount / 200), readers.reading(known):
                stage.say("the master is killed")
                killed.kill()
                wait_until(
                    lambda: master() is not killed,  # noqa: B023 (called at once)
                    PROMOTION_SECONDS,
                    "a replica is promoted",
                )
                known = known[-50:] + _ingested(stage, 50)
                _wait_for_cache(stage, readers, known[-20:], master)
            readers.read(known)
            killed.start()
            wait_until(
                lambda: follows(killed),  # noqa: B023 (called at once)
                REPLICA_SECONDS,
                "the killed server has a copy",
                pause=0.2,
            )
    stage.say(f"slowest of {readers.reads} reads {readers.slowest:.2f} s")


def _ingested(stage: Stage, amount: int) -> list[Document]:
    """Send that many orders, and return them once they are stored."""
    documents = stage.traffic.send_orders(amount)
    uids = [document["order_uid"] for document in documents]
    with psycopg.connect(stage.dsn, autocommit=True) as connection:
        wait_until(
            lambda: connection.execute(_STORED, [uids]).fetchone() == (amount,),
            30,
            f"{amount} orders are stored",
            pause=0.1,
        )
    return documents


def _wait_for_cache(
    stage: Stage,
    readers: Readers,
    documents: Sequence[Document],
    master: Callable[[], OwnServer],
) -> None:
    """Read these orders until the cache of the present master holds them."""
    uids = [document["order_uid"] for document in documents]
    with master().client() as client:

        def held() -> bool:
            readers.read(documents)
            return None not in client.hmget(f"{{{stage.cache_prefix}}}:documents", uids)

        wait_until(held, BACK_SECONDS, "the cache is in use")


DRILLS = (sentinel_failover, cluster_failover)
