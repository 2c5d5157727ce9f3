"""Group 4: three brokers, three copies of everything, of which two must be safe; one dies."""

import time

from drills.drill import drill
from drills.stage import Stage
from drills.waiting import wait_until


@drill(
    4, "of three brokers the leader of a partition, and the group's coordinator, killed", brokers=3
)
def one_of_three(stage: Stage) -> None:
    """The others continue without it; it restarts and catches up."""
    stage.consumers.start("static", static=True)
    stage.consumers.start("dynamic")
    stage.wait_for_topics()
    roles = ("leader", "coordinator")
    harmed = roles * 3 if stage.long else (stage.rng.choice(roles),)
    with stage.traffic.flow(len(harmed) * 1_000, seconds=len(harmed) * 12.0):
        for role in harmed:
            _wait_for_commits(stage)
            node = _node(stage, role)
            stage.say(f"broker {node}, the {role}, is killed")
            broker = stage.servers.brokers[node - 1]
            broker.kill()
            with stage.timed(40.0, "going on without it"):
                wait_until(
                    lambda: _node(stage, role) != node,  # noqa: B023 (called at once)
                    30,
                    f"there is another {role}",
                )
                _wait_for_commits(stage)
            time.sleep(stage.chance(0.0, 10.0 if stage.long else 1.0))
            broker.start()
            wait_until(lambda: min(stage.topics.in_sync(stage.topic)) == 3, 60, "it has caught up")
    ended = stage.consumers.exit_codes()
    assert not ended, f"consumers ended by themselves: {ended}"


def _node(stage: Stage, role: str) -> int:
    if role == "leader":
        return stage.topics.leader(stage.topic, 0)
    return stage.topics.coordinator()


def _wait_for_commits(stage: Stage) -> None:
    """Until more is committed than now, so that all of the way works."""
    before = sum(stage.topics.committed(stage.topic))
    stage.traffic.send_orders(40)
    wait_until(
        lambda: sum(stage.topics.committed(stage.topic)) > before, 40, "commits go on", pause=0.2
    )


DRILLS = (one_of_three,)
