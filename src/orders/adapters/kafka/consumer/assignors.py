"""How the partitions are divided among the consumers of the group."""

from typing import Any

from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

NAMES = frozenset({StickyPartitionAssignor.name, RangePartitionAssignor.name})
"""The strategies that a consumer offers."""


def new_assignors() -> tuple[type, type]:
    """The strategies of one consumer, the preferred one first.

    Sticky leaves each member what it has, as far as all are to have equally many. A group takes a
    strategy that all its members offer: range, while one of a version before sticky is in it.

    The client keeps in the class itself what a member has, so each consumer gets classes of its
    own. What it was given by range is known to sticky too: the change from one to the other moves
    no more than it must.
    """

    class Sticky(StickyPartitionAssignor):  # type: ignore[misc]
        pass

    class Range(RangePartitionAssignor):  # type: ignore[misc]
        @classmethod
        def on_assignment(cls, assignment: Any) -> None:
            Sticky.on_assignment(assignment)

    return Sticky, Range
