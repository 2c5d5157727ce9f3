"""The client's sticky assignor moves no more than it must, whoever comes and goes."""

from collections import Counter
from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st
from kafka.coordinator.protocol import ConsumerProtocol

from orders.adapters.kafka.consumer.assignors import new_assignors

TOPIC = "orders"


class Cluster(NamedTuple):
    """As much of the client's metadata as assignors ask for, with a topic that nobody reads.

    A client that has just connected knows all topics of the cluster.
    """

    partitions: int

    def topics(self) -> set[str]:
        return {TOPIC, "another"}

    def partitions_for_topic(self, _: str) -> set[int]:
        return set(range(self.partitions))


class Group:
    """Members by name, each with the strategies of one consumer; nothing goes over a network."""

    def __init__(self, partitions: int) -> None:
        self.partitions = partitions
        self.members: dict[str, Any] = {}
        self.owners: dict[int, str] = {}
        self.generation = 0

    def rebalance(self, strategy: int = 0) -> None:
        self.generation += 1
        encoded = {name: of[strategy].metadata({TOPIC}) for name, of in self.members.items()}
        metadata = {
            name: ConsumerProtocol.METADATA.decode(one.encode()) for name, one in encoded.items()
        }
        leader = min(self.members)
        found = self.members[leader][strategy].assign(Cluster(self.partitions), metadata)
        given_out = [
            (partition.partition, name)
            for name, assigned in found.items()
            for partition in self.receive(name, strategy, assigned)
        ]
        assert sorted(number for number, _ in given_out) == list(range(self.partitions))
        self.owners = dict(given_out)

    def receive(self, name: str, strategy: int, assigned: Any) -> Any:
        """As the client does with what the leader has decided."""
        decoded = ConsumerProtocol.ASSIGNMENT.decode(assigned.encode())
        assignor = self.members[name][strategy]
        assignor.on_assignment(decoded)
        if assignor.name == "sticky":
            assignor.on_generation_assignment(self.generation)
        return decoded.partitions()

    @property
    def sizes(self) -> list[int]:
        return [Counter(self.owners.values())[name] for name in self.members]

    def most_that_can_stay(self) -> int:
        """How many partitions may keep their owner if all are to have equally many."""
        least, more = divmod(self.partitions, len(self.members))
        held = sorted(self.sizes, reverse=True)
        return sum(min(size, least + (at < more)) for at, size in enumerate(held))


def stayed(before: dict[int, str], after: dict[int, str]) -> int:
    return sum(after[number] == owner for number, owner in before.items())


CHANGES = st.lists(
    st.tuples(st.sampled_from(["join", "leave", "lose", "return", "grow"]), st.integers(0, 99)),
    min_size=1,
    max_size=12,
)


@given(partitions=st.integers(1, 24), changes=CHANGES)
def test_sticky_is_balanced_and_moves_no_more_than_it_must(
    partitions: int, changes: list[tuple[str, int]]
) -> None:
    group = Group(partitions)
    group.members["first"] = new_assignors()
    lost: list[Any] = []
    group.rebalance()
    for number, (change, which) in enumerate(changes):
        name = f"{which:02}-{number}"
        before = group.owners
        if change == "join":
            group.members[name] = new_assignors()
        elif change == "return" and lost:  # it still claims what others have by now
            group.members[name] = lost.pop()
        elif change == "grow":
            group.partitions += 1 + which % 4
        elif change in {"leave", "lose"} and len(group.members) > 1:
            gone = group.members.pop(sorted(group.members)[which % len(group.members)])
            lost += [gone] if change == "lose" else []
        most = group.most_that_can_stay()
        group.rebalance()
        assert max(group.sizes) - min(group.sizes) <= 1
        assert stayed(before, group.owners) == most


def test_range_moves_more() -> None:
    moved = {}
    for strategy in (0, 1):
        group = Group(12)
        group.members["a"] = new_assignors()
        group.rebalance(strategy)
        moved[strategy] = 0
        for name in ("b", "c", "d"):
            before = group.owners
            group.members[name] = new_assignors()
            group.rebalance(strategy)
            moved[strategy] += 12 - stayed(before, group.owners)
    assert moved[0] == 6 + 4 + 3
    assert moved[1] > moved[0]


def test_from_range_to_sticky_no_more_moves_than_must() -> None:
    group = Group(12)
    group.members |= {name: new_assignors() for name in ("a", "b", "old")}
    group.rebalance(strategy=1)
    before = group.owners
    del group.members["old"]
    group.rebalance()
    assert stayed(before, group.owners) == 8
    assert group.sizes == [6, 6]
