"""Group 5: rebalances while batches are being processed."""

import json
import signal
import time

import psycopg

from drills.drill import drill
from drills.failing_consumer import HELD, LET_GO
from drills.stage import SESSION_SECONDS, Stage
from drills.waiting import wait_until

_SETTLE_SECONDS = SESSION_SECONDS + 30.0


@drill(5, "consumers joining and leaving, in good order and by kill: 1, 4, 2 of them")
def joining_and_leaving(stage: Stage) -> None:
    """Half of them are static members; each step causes a rebalance."""
    stage.consumers.start("static-0", static=True)
    stage.wait_for_topics()
    steps = (4, 2, 3, 1, 4, 2) if stage.long else (4, 2)
    names = [f"{kind}-{number}" for number in range(2) for kind in ("static", "dynamic")]
    with stage.traffic.flow(len(steps) * 1_000, seconds=len(steps) * 7.0):
        for wanted in steps:
            while (running := stage.consumers.running) and len(running) != wanted:
                time.sleep(stage.chance(0.0, 1.0))
                if len(running) < wanted:
                    _join(stage, stage.rng.choice(sorted(set(names) - set(running))))
                else:
                    _leave(stage, stage.rng.choice(sorted(running)))
            wait_until(
                lambda: _is_shared(stage.topics.assigned(), wanted, stage.partitions),  # noqa: B023
                _SETTLE_SECONDS,
                f"{wanted} members share the partitions",
                pause=0.2,
            )
    _assert_all_running(stage)


@drill(5, "a consumer frozen before its commit until others have its partitions")
def zombie(stage: Stage) -> None:
    """Its late commit is rejected without any loss, and it joins again."""
    stage.consumers.start("zombie", failpoint="before-commit:3:stop")
    stage.wait_for_topics()
    stage.consumers.start("heir")
    with stage.traffic.flow(1_000, seconds=10.0):
        wait_until(lambda: stage.consumers.is_stopped("zombie"), 40, "the zombie stands still")
    stage.say("standing still, waiting for the heir")
    wait_until(
        lambda: stage.topics.assigned() == [stage.partitions], _SETTLE_SECONDS, "the heir has all"
    )
    stage.wait_for_lag(30)
    stage.traffic.send_orders(200)
    stage.consumers.send(signal.SIGCONT, "zombie")
    wait_until(lambda: len(stage.topics.assigned()) == 2, 30, "the zombie takes part again")
    stage.traffic.send_orders(200)
    _assert_all_running(stage)


@drill(5, "a batch in hand for longer than a rebalance waits for it")
def late_commit(stage: Stage) -> None:
    """It is dropped, the next owner stores it again, and its commit is skipped."""
    stage.consumers.start("late", failpoint="before-commit:3:hold")
    stage.wait_for_topics()
    for _ in range(3):
        stage.traffic.send_orders(60)
        time.sleep(stage.chance(0.3, 0.6))
    stage.consumers.wait_for_log(HELD, 30, "late")
    stage.consumers.start("heir")
    stage.consumers.wait_for_log("batches dropped", 30, "late")
    wait_until(
        lambda: _is_shared(stage.topics.assigned(), 2, stage.partitions), 30, "partitions shared"
    )
    stage.traffic.send_orders(100)
    stage.consumers.wait_for_log('"event":"stored"', 30, "heir")
    stage.consumers.send(signal.SIGUSR1, "late")
    stage.consumers.wait_for_log(LET_GO, 30, "late")
    stage.wait_for_stored(280, 30)
    stage.traffic.send_orders(100)
    _assert_all_running(stage)


@drill(5, "a batch that takes longer than max.poll.interval")
def slow_batch(stage: Stage) -> None:
    """A lock in PostgreSQL blocks it. The consumer stays a member, and resumes where it was."""
    interval = 30.0 if stage.long else 4.0
    options = {"max_poll_interval_ms": int(interval * 1000), "session_timeout_ms": 6_000}
    for name in ("one", "two"):
        stage.consumers.start(
            name, failpoint="nowhere", DRILL_KAFKA_OPTIONS="" if stage.long else json.dumps(options)
        )
    wait_until(
        lambda: _is_shared(stage.topics.assigned(), 2, stage.partitions), 40, "partitions shared"
    )
    before = stage.topics.member_ids()
    with (
        stage.traffic.flow(2_000, seconds=interval),
        psycopg.connect(stage.dsn) as connection,
    ):
        stage.wait_for_stored(1, 30)
        connection.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        time.sleep(interval * 1.5)
        assert stage.topics.member_ids() == before, "a member was put out of the group"
    stage.wait_for_lag(40)
    assert stage.topics.member_ids() == before, "a member was put out of the group"
    for name in ("one", "two"):
        assert stage.consumers.log(name).count("partitions assigned") <= 2, "there were rebalances"


def _join(stage: Stage, name: str) -> None:
    stage.say(f"{name} joins")
    stage.consumers.start(name, static=name.startswith("static"))


def _leave(stage: Stage, name: str) -> None:
    how = stage.rng.choice(["stops", "is killed"])
    stage.say(f"{name} {how}")
    if how == "stops":
        stage.consumers.wait_for_start(name)
        stage.consumers.stop(name)
    else:
        stage.consumers.kill(name)


def _is_shared(assigned: list[int], members: int, partitions: int) -> bool:
    """Whether all partitions are assigned, to that many members, and each has at least one."""
    return len(assigned) == members and sum(assigned) == partitions and 0 not in assigned


def _assert_all_running(stage: Stage) -> None:
    ended = stage.consumers.exit_codes()
    assert not ended, f"consumers ended by themselves: {ended}"


DRILLS = (joining_and_leaving, zombie, late_commit, slow_batch)
