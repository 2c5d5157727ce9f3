"""Group 1: the consumer is killed."""

import time

from drills.drill import drill
from drills.expectations import bad
from drills.stage import SESSION_SECONDS, Stage
from drills.waiting import wait_until

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


DRILLS = (kills_at_random, kills_between_the_steps)
