"""What is said of the group's members, without a broker."""

import pytest

from orders.adapters.kafka.client.cluster_view import ClusterView, PartitionView, TopicView
from orders.adapters.kafka.diagnostics.group_findings import group_findings
from orders.bootstrap import to_kafka_settings
from orders.config import Settings
from orders.domain.ports import Finding
from tests.contracts.inspection import found


def group(members: int, partitions: int, assignor: str = "sticky") -> Finding:
    source = TopicView(
        "orders",
        {number: PartitionView(3, 3, has_leader=True) for number in range(partitions)},
        {},
        has_offsets=True,
    )
    settings = to_kafka_settings(Settings(kafka_bootstrap="broker:9092"))
    view = ClusterView(settings, 3, source, None, "Stable", members, assignor=assignor)
    return found(list(group_findings(view)), "group orders-group")


@pytest.mark.parametrize("members", [1, 3])
def test_as_many_consumers_as_partitions_are_fine(members: int) -> None:
    assert group(members, 3).state == "ok"


def test_more_consumers_than_partitions_are_a_warning() -> None:
    finding = group(4, 3)
    assert finding.state == "warning"
    assert finding.text == (
        "4 consumers, stable; 1 of them without a partition: the topic has 3 in all"
    )
    assert "--alter --partitions" in finding.advice


@pytest.mark.parametrize("assignor", ["sticky", "range", ""])
def test_members_of_this_and_of_earlier_versions_can_be_joined(assignor: str) -> None:
    assert group(2, 3, assignor).state == "ok"


@pytest.mark.parametrize("assignor", ["roundrobin", "cooperative-sticky"])
def test_members_with_another_assignor_cannot(assignor: str) -> None:
    assert group(2, 3, assignor).state == "problem"
