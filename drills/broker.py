"""Group 4: the broker stops, dies, freezes or has not started yet."""

import time

from drills.drill import drill
from drills.stage import SESSION_SECONDS, Stage


@drill(4, "the broker stopped, killed and restarted")
def broker_restarts(stage: Stage) -> None:
    """In good order and by SIGKILL, down for a moment or for longer than a session."""
    _start_two(stage)
    rounds = 3 if stage.long else 1
    with stage.traffic.flow(rounds * 2_000, seconds=rounds * 12.0):
        for number in range(rounds):
            for harm in ("stop", "kill"):
                _wait_for_more(stage)
                seconds = stage.chance(0.0, 15.0 if stage.long else 1.0)
                stage.say(f"round {number + 1} of {rounds}: {harm} for {seconds:.0f} s")
                getattr(stage.servers.broker, harm)()
                time.sleep(seconds)
                stage.servers.broker.start()
    _assert_all_running(stage)


@drill(4, "the broker frozen for longer than the session timeout")
def broker_frozen(stage: Stage) -> None:
    """Once by a little, and in the long set once for longer than max_poll_interval_ms."""
    _start_two(stage)
    for seconds in (SESSION_SECONDS + 2.0, *((45.0,) if stage.long else ())):
        with stage.traffic.flow(2_000, seconds=seconds / 2):
            _wait_for_more(stage)
            stage.say(f"frozen for {seconds:.0f} s")
            stage.servers.broker.freeze()
            time.sleep(seconds)
            stage.servers.broker.thaw()
    _assert_all_running(stage)


@drill(4, "consumers started before the broker is there, and before the topics are")
def broker_comes_late(stage: Stage) -> None:
    """They wait, say so, make the topics and go on by themselves."""
    stage.servers.broker.stop()
    stage.consumers.start("static", static=True)
    stage.consumers.start("dynamic")
    for name in ("static", "dynamic"):
        stage.consumers.wait_for_log("consumer tries again", 30, name)
    time.sleep(stage.chance(0.0, 30.0 if stage.long else 2.0))
    stage.servers.broker.start()
    stage.wait_for_topics()
    assert stage.topics.partitions(stage.topic) == stage.partitions
    stage.traffic.send_orders(2_000 if stage.long else 500)
    _assert_all_running(stage)


def _start_two(stage: Stage) -> None:
    stage.consumers.start("static", static=True)
    stage.consumers.start("dynamic")
    stage.wait_for_topics()


def _wait_for_more(stage: Stage) -> None:
    """Until orders are stored that were not before: all is well, and in the middle of work."""
    before = stage.stored()
    stage.traffic.send_orders(20)  # the flow may have come to its end meanwhile
    stage.wait_for_stored(before + 1, 40)


def _assert_all_running(stage: Stage) -> None:
    ended = stage.consumers.exit_codes()
    assert not ended, f"consumers ended by themselves: {ended}"


DRILLS = (broker_restarts, broker_frozen, broker_comes_late)
