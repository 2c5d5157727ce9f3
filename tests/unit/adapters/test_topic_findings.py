"""What is said of the topics' settings, without a broker."""

import pytest

from orders.adapters.kafka.client.cluster_view import ClusterView, PartitionView, TopicView
from orders.adapters.kafka.diagnostics.topic_findings import topic_findings
from orders.bootstrap import to_kafka_settings
from orders.config import Settings
from orders.domain.ports import Finding
from tests.contracts.inspection import found

HOUR = 3_600_000
GOOD = {
    "cleanup.policy": "delete",
    "retention.ms": str(7 * 24 * HOUR),
    "retention.bytes": "-1",
    "min.insync.replicas": "2",
    "unclean.leader.election.enable": "false",
}
GOOD_DEAD_LETTERS = GOOD | {"retention.ms": "-1", "max.message.bytes": "2097176"}


def findings(
    source: dict[str, str] | None = None,
    dead_letters: dict[str, str] | None = None,
    retention: str = "forever",
) -> list[Finding]:
    """Of two good topics, but for these settings."""
    partitions = {0: PartitionView(3, 3, has_leader=True)}
    view = ClusterView(
        to_kafka_settings(Settings(kafka_bootstrap="broker:9092", kafka_dlq_retention=retention)),
        3,
        TopicView("orders", partitions, GOOD | (source or {})),
        TopicView("orders.dlq", partitions, GOOD_DEAD_LETTERS | (dead_letters or {})),
        "Stable",
        1,
    )
    return list(topic_findings(view))


def test_good_topics_are_fine() -> None:
    assert {finding.state for finding in findings()} == {"ok"}
    assert found(findings(), "retention of orders").text == "messages are kept for 7 days"


def test_a_source_that_is_compacted_is_a_problem() -> None:
    for policy in ("compact", "compact,delete"):
        cleanup = found(findings({"cleanup.policy": policy}), "cleanup of orders")
        assert cleanup.state == "problem"
        assert f"cleanup.policy={policy}" in cleanup.text
        assert cleanup.advice == "set cleanup.policy=delete"


def test_a_short_retention_of_the_source_is_a_warning() -> None:
    for hours, state, said in (
        (1, "warning", "60 minutes"),
        (23, "warning", "23 hours"),
        (24, "ok", "24 hours"),
    ):
        retention = found(findings({"retention.ms": str(hours * HOUR)}), "retention of orders")
        assert (retention.state, said in retention.text) == (state, True)
        assert ("longest outage" in retention.advice) is (state == "warning")
    forever = found(findings({"retention.ms": "-1"}), "retention of orders")
    assert (forever.state, forever.text) == ("ok", "messages are kept until somebody deletes them")


def test_a_limit_by_size_is_said() -> None:
    retention = found(findings({"retention.bytes": "1000000"}), "retention of orders")
    assert retention.text == "messages are kept for 7 days, and up to 1000000 bytes a partition"


def test_leaders_that_lack_what_was_acknowledged_are_a_problem_on_either_topic() -> None:
    unclean = {"unclean.leader.election.enable": "true"}
    for said, name in ((findings(unclean), "orders"), (findings({}, unclean), "orders.dlq")):
        election = found(said, f"leaders of {name}")
        assert election.state == "problem"
        assert election.advice == "set unclean.leader.election.enable=false"
        assert sum(finding.state != "ok" for finding in said) == 1


@pytest.mark.parametrize(
    "config",
    [
        {"message.timestamp.type": "LogAppendTime"},
        {"message.timestamp.after.max.ms": "3600000"},
        {"message.timestamp.before.max.ms": "1000"},
        {"message.timestamp.difference.max.ms": "1000"},
    ],
)
def test_dead_letters_that_cannot_keep_their_timestamp_are_a_warning(
    config: dict[str, str],
) -> None:
    [(name, value)] = config.items()
    said = found(findings({}, config), "timestamps of orders.dlq")
    assert said.state == "warning"
    assert f"{name}={value}" in said.text
    assert said.advice.startswith(f"set {name}=")
    assert all(finding.what != "timestamps of orders.dlq" for finding in findings())


def test_denied_settings_are_not_judged() -> None:
    unknown = to_kafka_settings(Settings(kafka_bootstrap="broker:9092"))
    partitions = {0: PartitionView(3, 3, has_leader=True)}
    topic = TopicView("orders", partitions, {})
    view = ClusterView(unknown, 3, topic, topic, "Stable", 1, ("configuration of orders (X)",))
    assert {finding.state for finding in topic_findings(view)} == {"warning", "ok"}
    assert not any("retention" in finding.what for finding in topic_findings(view))


@pytest.mark.parametrize(
    ("setting", "found_ms", "state", "said"),
    [
        ("forever", -1, "ok", "until somebody deletes them"),
        ("forever", 90 * 24 * HOUR, "problem", "before anybody has seen them"),
        ("90d", 90 * 24 * HOUR, "ok", "for 90 days"),
        ("36h", 36 * HOUR, "ok", "for 36 hours"),
        ("90d", -1, "warning", "longer than ORDERS_KAFKA_DLQ_RETENTION says"),
        ("90d", 91 * 24 * HOUR, "warning", "longer than ORDERS_KAFKA_DLQ_RETENTION says"),
        ("90d", 89 * 24 * HOUR, "problem", "before anybody has seen them"),
    ],
)
def test_the_retention_of_dead_letters_is_compared_with_the_setting(
    setting: str, found_ms: int, state: str, said: str
) -> None:
    all_found = findings(None, {"retention.ms": str(found_ms)}, setting)
    retention = found(all_found, "retention of orders.dlq")
    assert retention.state == state
    assert said in retention.text
    assert bool(retention.advice) is (state != "ok")
