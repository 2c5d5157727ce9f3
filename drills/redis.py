"""Group 3: Redis is down, loses entries, or contains corrupt ones."""

import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from random import Random
from statistics import median
from typing import NamedTuple

from redis import Redis

from drills.api import Readers, api
from drills.drill import drill
from drills.expectations import Document
from drills.stage import Stage
from drills.steady import steady
from drills.waiting import wait_until
from orders.domain.order.document import digest

SLOWER = 2.0
"""How many times as long the same number of orders may take during a fault in Redis."""
SHORT_GRACE = 2.0
"""Additional seconds in the short set, which measures once and little: it only detects a consumer
that waits for Redis in every batch."""
POISONS = ("another type", "garbage", "garbage with its digest", "cut", "another order")
BACK_SECONDS = 30.0
"""Time for the cache to be in use again; the longest pause of the circuit breaker is 5 s."""


class Harm(NamedTuple):
    """A fault: ``lasting`` is active while orders are ingested and read; each of ``moments``
    happens once after that, to a cache that holds the orders read next.
    """

    lasting: Callable[[Stage], AbstractContextManager[None]]
    moments: Sequence[Callable[[Stage], object]] = ()


@drill(3, "Redis stopped, frozen, restarted")
def redis_down(stage: Stage) -> None:
    """Ingest keeps its speed, and reads are correct, during the fault and after it."""
    harms = {"stopped": _stopped, "frozen": _frozen, "restarted": _restarted}
    _perform(stage, {name: Harm(lasting) for name, lasting in harms.items()})


@drill(3, "Redis flushed, and holding poisoned values under our keys")
def redis_corrupt(stage: Stage) -> None:
    """Likewise; no corrupt entry is ever served."""
    poisons = [partial(_poison, kind=kind, rng=stage.rng) for kind in POISONS]
    _perform(stage, {"flushed": Harm(_flushed, [_flush]), "poisoned": Harm(_poisoned, poisons)})


def _perform(stage: Stage, harms: Mapping[str, Harm]) -> None:
    rounds, amount = (3, 5_000) if stage.long else (1, 1_500)
    seconds: dict[str, list[float]] = defaultdict(list)
    stage.consumers.start()
    stage.wait_for_topics()
    with api(stage) as readers, steady(stage):
        known = stage.traffic.send_orders(300)
        stage.wait_for_stored(300, 30)
        for _ in range(rounds):
            states: dict[str, Harm] = {"up": Harm(_unharmed), **harms}
            for state in stage.rng.sample(list(states), len(states)):
                stage.say(f"{state}: {amount} orders")
                known, took = _ingest(stage, readers, amount, states[state], known)
                seconds[state].append(took)
                readers.read(known)
        _wait_for_cache(stage, readers, known[:20])
    middle = {state: median(times) for state, times in seconds.items()}
    speeds = ", ".join(f"{state} {amount / took:,.0f}" for state, took in middle.items())
    stage.say(
        f"orders a second: {speeds}; slowest of {readers.reads} reads {readers.slowest:.2f} s"
    )
    most = middle["up"] * SLOWER + (0.0 if stage.long else SHORT_GRACE)
    slow = {state: took for state, took in middle.items() if took > most}
    assert not slow, f"{amount} orders take {middle['up']:.1f} s, and with a fault in Redis {slow}"


def _ingest(
    stage: Stage, readers: Readers, amount: int, harm: Harm, known: list[Document]
) -> tuple[list[Document], float]:
    """Ingest that many orders during the fault, and read orders during it and after it.

    Returns some of the stored orders, the latest among them, and the seconds that ingest took.
    """
    stage.wait_for_lag(30)
    # The consumer is frozen until all are sent, so that its speed is measured, not the sender's.
    stage.consumers.send(signal.SIGSTOP)
    sent = stage.traffic.send_orders(amount)
    with harm.lasting(stage), readers.reading(known):
        started = time.monotonic()
        stage.consumers.send(signal.SIGCONT)
        # Committed: after the last batch is stored, its orders are put into the cache.
        wait_until(lambda: stage.topics.lag(stage.topic) == 0, 60, "all orders are processed")
        took = time.monotonic() - started
        some = stage.rng.sample(known, 20) + sent[-20:]
        readers.read(some)
    for moment in harm.moments:
        _wait_for_cache(stage, readers, some)
        moment(stage)
        readers.read(some)
    return known[-50:] + sent[-50:], took


def _wait_for_cache(stage: Stage, readers: Readers, documents: Sequence[Document]) -> None:
    """Read these orders until the cache holds them."""
    documents_key = _documents_key(stage)
    uids = [document["order_uid"] for document in documents]
    with Redis.from_url(stage.servers.redis_url) as client:

        def held() -> bool:
            readers.read(documents)
            # A key of another type may still be there: after recent misses the API bypasses Redis
            # for a second.
            if client.type(documents_key) != b"hash":
                return False
            return None not in client.hmget(documents_key, uids)

        wait_until(held, BACK_SECONDS, "the cache is in use")


def _unharmed(_: Stage) -> AbstractContextManager[None]:
    return nullcontext()


@contextmanager
def _stopped(stage: Stage) -> Iterator[None]:
    stage.servers.redis.stop()
    yield
    stage.servers.redis.start()


@contextmanager
def _frozen(stage: Stage) -> Iterator[None]:
    stage.servers.redis.freeze()
    yield
    stage.servers.redis.thaw()


@contextmanager
def _restarted(stage: Stage) -> Iterator[None]:
    """Stop or kill Redis at random, and start it again."""

    def restart(rng: Random) -> None:
        rng.choice([stage.servers.redis.stop, stage.servers.redis.kill])()
        stage.servers.redis.start()

    with _again_and_again(stage, restart, 0.5):
        yield


@contextmanager
def _flushed(stage: Stage) -> Iterator[None]:
    with _again_and_again(stage, lambda _: _flush(stage), 0.02):
        yield


def _flush(stage: Stage) -> None:
    with Redis.from_url(stage.servers.redis_url) as client:
        client.flushall()


@contextmanager
def _poisoned(stage: Stage) -> Iterator[None]:
    def poison(rng: Random) -> None:
        _poison(stage, rng.choice(POISONS), rng)

    with _again_and_again(stage, poison, 0.02):
        yield


def _poison(stage: Stage, kind: str, rng: Random) -> None:
    """Replace all that the cache holds by that kind of poison."""
    documents, recency = _documents_key(stage), f"{{{stage.cache_prefix}}}:recency"
    with Redis.from_url(stage.servers.redis_url) as client:
        if kind == "another type":
            with client.pipeline() as pipeline:
                for key in (documents, recency)[rng.randint(0, 1) :]:
                    pipeline.delete(key)
                    getattr(pipeline, rng.choice(["set", "rpush", "sadd"]))(key, "poison")
                pipeline.execute()
        elif client.type(documents) == b"hash":
            held: dict[bytes, bytes] = client.hgetall(documents)
            uids, values = list(held), list(held.values())
            garbage = rng.randbytes(rng.randint(1, 2_000))
            corrupt = {
                "garbage": [garbage] * len(held),
                "garbage with its digest": [digest(garbage) + garbage] * len(held),
                "cut": [value[: rng.randint(0, len(value) - 1)] for value in values if value],
                "another order": [*values[1:], *values[:1]],
            }[kind]
            mapping = dict(zip(uids, corrupt, strict=False))
            if mapping:
                client.hset(documents, mapping=mapping)


@contextmanager
def _again_and_again(stage: Stage, act: Callable[[Random], object], pause: float) -> Iterator[None]:
    """Call ``act`` during the block, at least once, with a pause of so many seconds in between."""
    over = threading.Event()
    rng = Random(stage.rng.random())

    def work() -> None:
        while True:
            act(rng)
            if over.wait(pause):
                return

    with ThreadPoolExecutor(1, "harm") as pool:
        working = pool.submit(work)
        try:
            yield
        finally:
            over.set()
            working.result()


def _documents_key(stage: Stage) -> str:
    return f"{{{stage.cache_prefix}}}:documents"


DRILLS = (redis_down, redis_corrupt)
