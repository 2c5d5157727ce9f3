"""Group 1: the consumer is killed."""

import statistics
import time

from drills.drill import drill
from drills.expectations import bad
from drills.stage import SESSION_SECONDS, Stage
from drills.waiting import wait_until

_ASSIGNED = '"event":"partitions assigned"'
_TAKEOVER_SECONDS = SESSION_SECONDS + 20.0
PLACES = ("before-save", "after-save", "before-dead-letters", "after-dead-letters", "before-commit")


@drill(1, "kill -9 of the consumer at random moments")
def kills_at_random(stage: Stage) -> None:
    """Two consumers, one of them a static member; either is killed while it has work, and comes
    back to more of it.
    """
    kills, amount = (50, 20_000) if stage.long else (5, 2_000)
    names = ["static"] * 3 + ["dynamic"]  # others wait for a dynamic one's session to end
    stage.consumers.start("static", static=True)
    stage.consumers.start("dynamic")
    stage.wait_for_topics()
    # Half of the orders come all the time, the others in bursts.
    with stage.traffic.flow(amount // 2, kills * 3.0):
        for number in range(kills):
            name = stage.rng.choice(names)
            # It waits for its partitions while orders come; then it takes them, and is at work.
            stage.traffic.send_orders(amount // 2 // kills)
            stage.consumers.wait_for_partitions(name)
            time.sleep(stage.chance(0.0, 0.4))
            stage.say(f"kill {number + 1} of {kills}: {name}")
            stage.consumers.kill(name)
            stage.consumers.start(name, static=name == "static")
    stage.wait_for_lag(SESSION_SECONDS + 30)
    again = sum(stage.consumers.sum_in_log("unchanged", name) for name in ("static", "dynamic"))
    stage.say(f"{again} orders were stored and not committed when their consumer was killed")
    assert again or not stage.long, "no kill has hit a consumer between its two commits"


@drill(1, "kill -9 between the steps of a batch")
def kills_between_the_steps(stage: Stage) -> None:
    """Before and after the database's commit, around the dead letters, before the offsets."""
    stage.consumers.start()
    stage.wait_for_topics()
    stage.consumers.stop()
    for times in (1, 3) if stage.long else (1,):
        for place in PLACES:
            stage.say(f"kill {place}, the {times}. time")
            stage.consumers.start(static=True, failpoint=f"{place}:{times}")
            for _ in range(times):
                stage.traffic.send_orders(100 if stage.long else 20)
                raw = b'{"order_uid": %d}' % stage.rng.getrandbits(60)
                stage.traffic.send(raw, [bad(raw, "invalid", detail=r"\$.*expected|required")])
                stage.traffic.flush()
                # It may come by its place sooner than thought: batches are what a poll gives.
                wait_until(
                    lambda: not stage.consumers.running or stage.topics.is_up_to_date(stage.topic),
                    60,
                    "the batch is stored, or the consumer has ended",
                )
                if not stage.consumers.running:
                    break
            code = stage.consumers.wait("one", 60)
            assert code == -9, f"ended with {code}, not by its failpoint\n{stage.consumers.tail()}"
    stage.consumers.start(static=True)


@drill(1, "what a killed consumer had is taken over")
def takeover(stage: Stage) -> None:
    """By the other one, by itself once it is restarted, and by itself as a static member."""
    for name in ("static", "other"):
        stage.consumers.start(name, static=name == "static")
    stage.wait_for_topics()
    stage.consumers.wait_for_all_partitions(["static", "other"], stage.partitions)
    rebalances = stage.consumers.log("other").count(_ASSIGNED)
    _takeovers(stage, "static", "its own restart, as a static member", static=True)
    assert stage.consumers.log("other").count(_ASSIGNED) == rebalances, "there was a rebalance"
    stage.consumers.stop("static")
    stage.consumers.start("one")
    stage.consumers.wait_for_all_partitions(["one", "other"], stage.partitions)
    _takeovers(stage, "one", "its own restart")
    _takeovers(stage, "one", "the other one", restart=False)


def _takeovers(
    stage: Stage, name: str, by: str, *, static: bool = False, restart: bool = True
) -> None:
    """Kill it again and again, and time it until an order of a partition of its own is stored."""
    seconds, since_started = [], []
    for _ in range(10 if stage.long else 1):
        partition = stage.rng.choice(stage.consumers.partitions(name))
        time.sleep(stage.chance(0.0, SESSION_SECONDS / 3))  # since its last heartbeat
        stage.consumers.kill(name)
        began = started = time.monotonic()
        [order] = stage.traffic.send_orders(1, partition=partition)
        if restart:
            stage.consumers.start(name, static=static)
            stage.consumers.wait_for_start(name)
            started = time.monotonic()
        uid = str(order["order_uid"])
        wait_until(lambda: stage.is_stored(uid), _TAKEOVER_SECONDS, "it is taken over")  # noqa: B023
        seconds.append(time.monotonic() - began)
        since_started.append(time.monotonic() - started)
        if not restart:
            stage.consumers.start(name)
        stage.consumers.wait_for_all_partitions([name, "other"], stage.partitions)
    stage.say(
        f"taken over by {by}: {_summary(seconds)}"
        + (f"; from its start, without imports: {_summary(since_started)}" if restart else "")
    )


def _summary(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})"


DRILLS = (kills_at_random, kills_between_the_steps, takeover)
