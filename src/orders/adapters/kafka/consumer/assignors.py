"""How the partitions are divided among the consumers of the group."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

NAMES = frozenset({StickyPartitionAssignor.name, RangePartitionAssignor.name})
"""The strategies that a consumer offers."""


class _ReadTopics(NamedTuple):
    """The client's metadata, of the topics that members read.

    With others in it, sticky would move more than it must; a client that has just connected knows
    them all.
    """

    cluster: Any
    members: Mapping[str, Any]

    def topics(self) -> set[str]:
        """Called by the assignor."""
        return {topic for member in self.members.values() for topic in member.subscription}

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        """Called by the assignor; None for a topic that is missing."""
        return self.cluster.partitions_for_topic(topic)  # type: ignore[no-any-return]


def new_assignors() -> tuple[type, type]:
    """The strategies of one consumer, the preferred one first.

    Sticky leaves each member what it has, as far as all are to have equally many. A group takes a
    strategy that all its members offer: range, while one of a version before sticky is in it.

    The client keeps in the class itself what a member has, so each consumer gets classes of its
    own. What it was given by range is known to sticky too: the change from one to the other moves
    no more than it must.
    """

    class Sticky(StickyPartitionAssignor):  # type: ignore[misc]
        @classmethod
        def assign(cls, cluster: Any, members: Mapping[str, Any]) -> Any:
            return super().assign(_ReadTopics(cluster, members), members)

    class Range(RangePartitionAssignor):  # type: ignore[misc]
        @classmethod
        def on_assignment(cls, assignment: Any) -> None:
            Sticky.on_assignment(assignment)

    return Sticky, Range
