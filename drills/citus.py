"""Group 2 on Citus: a worker of the cluster is killed or frozen."""

import psycopg

from drills.api import api
from drills.drill import drill
from drills.stage import Stage
from drills.steady import in_mid_ingest, steady, times_told, wait_until_told

_WAITING = "cannot store, waiting"


@drill(2, "Citus: a worker killed in the midst of ingest", needs="citus")
def citus_worker_killed(stage: Stage) -> None:
    """The consumers wait until it is back, and go on; the orders of the others can be read."""
    kills = 4 if stage.long else 1
    stage.consumers.start("one")
    stage.consumers.start("two")
    stage.wait_for_topics()
    # Without caches, so that all orders come from the cluster.
    with (
        api(stage, ORDERS_CACHE_LOCAL_BYTES="0", ORDERS_REDIS_URL="") as readers,
        steady(stage),
    ):
        known = stage.traffic.send_orders(100)
        stage.wait_for_stored(len(known), 30)
        for number in range(kills):
            with in_mid_ingest(stage):
                stage.say(f"kill {number + 1} of {kills}")
                told = times_told(stage, _WAITING)
                stage.servers.workers[number % len(stage.servers.workers)].kill()
                wait_until_told(stage, _WAITING, times=told + 1)
                statuses = readers.statuses(known)
                assert statuses.keys() == {200, 503}, f"answers with a worker down: {statuses}"
                stage.servers.heal()
                _recover(stage)
            stage.wait_for_lag(60)  # consumers that still wait would not tell of the next kill
        readers.read(known)


@drill(2, "Citus: a worker frozen in the midst of ingest", needs="citus")
def citus_worker_frozen(stage: Stage) -> None:
    """Connections to it stay, and nothing comes back."""
    stage.consumers.start("one")
    stage.wait_for_topics()
    with steady(stage), stage.traffic.flow(1_000, seconds=2.0):
        stage.wait_for_stored(1, 30)
        stage.servers.workers[0].freeze()
        wait_until_told(stage, _WAITING, seconds=90)
        stage.servers.heal()
        _recover(stage)


def _recover(stage: Stage) -> None:
    """Commit now what the coordinator has committed and a killed worker had only prepared.

    Citus does it by itself, once a minute.
    """
    with psycopg.connect(stage.dsn, autocommit=True) as connection:
        connection.execute("SELECT recover_prepared_transactions()")


DRILLS = (citus_worker_killed, citus_worker_frozen)
