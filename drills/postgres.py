"""Group 2: PostgreSQL is down, or the network to it fails."""

import re
import time

from drills.drill import drill
from drills.postgres_door import PostgresDoor
from drills.stage import Stage
from drills.steady import in_mid_ingest, steady, wait_until_told
from drills.waiting import wait_until

AN_ORDER = 1_000
"""Approximate bytes of COPY data."""


@drill(2, "PostgreSQL stopped for a while")
def postgres_stopped(stage: Stage) -> None:
    """Two consumers wait, and resume when it has recovered."""
    seconds = 20.0 if stage.long else 4.0
    stage.consumers.start("one")
    stage.consumers.start("two")
    stage.wait_for_topics()
    with steady(stage):
        with stage.traffic.flow(10_000 if stage.long else 1_000, seconds=seconds + 2.0):
            stage.wait_for_stored(100, 30)
            stage.servers.postgres.stop()
            stopped = time.monotonic()
            wait_until_told(stage, "cannot store, waiting")
            time.sleep(max(0.0, stopped + seconds - time.monotonic()))
            stage.servers.postgres.start()
        wait_until_told(stage, "can store again")


@drill(2, "PostgreSQL killed, time and again")
def postgres_killed(stage: Stage) -> None:
    """All its processes are killed during transactions; confirmed ones survive."""
    kills = 8 if stage.long else 1
    stage.consumers.start("one")
    stage.consumers.start("two")
    stage.wait_for_topics()
    with steady(stage):
        for number in range(kills):
            with in_mid_ingest(stage, latest=1.5):
                stage.say(f"kill {number + 1} of {kills}")
                stage.servers.postgres.kill()
                time.sleep(stage.chance(0.0, 1.0))
                stage.servers.postgres.start()


@drill(2, "connections to PostgreSQL cut in the middle of a COPY")
def postgres_cut_in_copy(stage: Stage) -> None:
    """The connection is cut at a random byte of a random table's COPY."""
    cuts = 30 if stage.long else 5
    door = _behind_a_door(stage)
    with steady(stage):
        for number in range(cuts):
            stage.say(f"cut {number + 1} of {cuts}")
            door.cut_in_copy(after=stage.rng.randint(1, 50 * AN_ORDER))
            with stage.traffic.flow(200, seconds=0.3):
                _wait_for_cuts(door, number + 1)


@drill(2, "the answer to a COMMIT lost")
def postgres_answer_lost(stage: Stage) -> None:
    """As in a failover, the batch is stored but not acknowledged. Saving it again is a no-op."""
    losses = 20 if stage.long else 4
    door = _behind_a_door(stage)
    with steady(stage):
        for number in range(losses):
            stage.say(f"answer {number + 1} of {losses}")
            door.lose_next_commit()
            with stage.traffic.flow(200, seconds=0.3):
                _wait_for_cuts(door, number + 1)
    batches = re.findall(r'"unchanged":(\d+).*"batch stored"', stage.consumers.log())
    known = sum(map(int, batches))
    assert known >= losses, f"{losses} batches came out as no-ops, with {known} orders in all"


def _behind_a_door(stage: Stage) -> PostgresDoor:
    """Start a consumer with a proxy in front of its database."""
    door = stage.closing.enter_context(PostgresDoor(stage.dsn))
    stage.consumers.start(ORDERS_POSTGRES_DSN=door.dsn, ORDERS_LOG_LEVEL="debug")
    stage.wait_for_topics()
    return door


def _wait_for_cuts(door: PostgresDoor, amount: int) -> None:
    wait_until(lambda: door.cuts >= amount, 30, f"the proxy has cut {amount} connections")


DRILLS = (postgres_stopped, postgres_killed, postgres_cut_in_copy, postgres_answer_lost)
