"""What is asked of consumers while a server that they need is harmed."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from drills.stage import SETTLE_SECONDS, Stage
from drills.waiting import wait_until


@contextmanager
def steady(stage: Stage, *, dead_letters: int = 0) -> Iterator[None]:
    """Assert that the consumers survive the fault in the block and resume after it.

    None ends or leaves its group, exactly ``dead_letters`` dead letters are written, and the lag
    returns to 0 without help. The block starts when all consumers have joined.
    """
    names = stage.consumers.running
    before = wait_until(
        lambda: len(ids := stage.topics.member_ids()) == len(names) and ids,
        30,
        f"{len(names)} consumers have joined",
    )
    yield
    stage.say("the harm is over; waiting for the consumers to go on")
    stage.wait_for_lag(SETTLE_SECONDS)
    ended = stage.consumers.exit_codes()
    tails = "\n".join(stage.consumers.tail(name) for name in ended)
    assert not ended, f"ended by themselves: {ended}\n{tails}"
    after = stage.topics.member_ids()
    assert after == before, f"the group's members were {before}, and are {after}"
    written = sum(stage.topics.ends(stage.dlq_topic))
    assert written == dead_letters, f"{written} dead letters instead of {dead_letters}"


@contextmanager
def in_mid_ingest(stage: Stage, latest: float = 1.0) -> Iterator[None]:
    """Enter the block while orders flow and are stored, at a random moment of ``latest`` seconds.

    They flow on beside the block, and all are sent when it is left.
    """
    before = stage.stored()
    with stage.traffic.flow(1_000, seconds=2.0):
        stage.wait_for_stored(before + 1, 30)
        time.sleep(stage.chance(0.0, latest))
        yield


def times_told(stage: Stage, text: str) -> int:
    """How often the consumers have logged ``text``."""
    return sum(stage.consumers.log(name).count(text) for name in stage.consumers.running)


def wait_until_told(stage: Stage, text: str, *, times: int = 1, seconds: float = 30.0) -> None:
    """Wait until the consumers have logged ``text`` that often."""
    wait_until(
        lambda: times_told(stage, text) >= times, seconds, f"consumers say {text!r}, {times} times"
    )
