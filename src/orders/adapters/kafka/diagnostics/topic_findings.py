"""Findings about both topics: whether their settings keep the guarantee."""

from collections.abc import Iterator
from functools import partial

from kafka.errors import InvalidTopicError

from orders.adapters.kafka.client.cluster_view import ClusterView, TopicView
from orders.adapters.kafka.client.failures import describe_failure
from orders.adapters.kafka.client.topics import ANY_TIMESTAMP, DEFAULT_MAX_MESSAGE_BYTES
from orders.domain.ports import Finding

PART = "kafka"
_finding = partial(Finding, PART)

_UNCLEAN = "unclean.leader.election.enable"
_SHORT_HOURS = 24
"""Retention of the source below this is a warning: it would not survive a night's outage."""
_MS_AN_HOUR = 3_600_000

_ANY_TIMESTAMP = ANY_TIMESTAMP | {
    "message.timestamp.type": "CreateTime",
    "message.timestamp.difference.max.ms": str(2**63 - 1),  # of brokers before 3.6
}


def topic_findings(view: ClusterView) -> Iterator[Finding]:
    """Findings about the topic of orders, then about that of dead letters."""
    for name in view.denied:
        advice = "grant it (deploy/kafka/acls.sh); for another error, check the brokers' log"
        yield _finding("denied", "warning", f"the brokers deny this user {name}", advice)
    names = {view.settings.topic: view.source, view.settings.dlq_topic: view.dead_letters}
    for name, topic in names.items():
        if name in view.bad_names:
            yield _finding(
                f"topic {name}",
                "problem",
                "Kafka does not take this name",
                describe_failure(InvalidTopicError()).advice,
            )
        elif topic:
            yield _replicas(topic)
            yield from _leaders(topic)
        elif f"DESCRIBE on topic {name}" not in view.denied:
            advice = "start `orders consumer` or `orders api`: they create it"
            yield _finding(f"topic {name}", "problem", "is missing", advice)
    if view.source and view.source.config:
        yield from _cleanup(view.source)
        yield _source_retention(view.source)
    if view.dead_letters and view.dead_letters.config:
        yield _retention(view.dead_letters, view.settings.dlq_retention_ms)
        yield from _timestamps(view.dead_letters)
        if view.source and view.source.config:
            yield _sizes(view.source, view.dead_letters)


def _replicas(topic: TopicView) -> Finding:
    what, parts = f"topic {topic.name}", topic.partitions
    number = f"{len(parts)} partitions" if len(parts) > 1 else "1 partition"
    leaderless = sorted(n for n, partition in parts.items() if not partition.has_leader)
    behind = sorted(n for n, partition in parts.items() if partition.in_sync < partition.replicas)
    fewest = min(partition.replicas for partition in parts.values())
    needed = topic.config.get("min.insync.replicas")
    advice = "give it 3 replicas, with min.insync.replicas=2"
    if leaderless:
        text = f"{number}; without a leader, neither readable nor writable: {_listed(leaderless)}"
        return _finding(what, "problem", text, "restart the brokers that hold them")
    if behind:
        text = f"{number}; fewer replicas in sync than there should be: {_listed(behind)}"
        return _finding(what, "problem", text, "restart the brokers that hold the others")
    if fewest == 1:
        text = f"{number}, one replica: acknowledged messages are only as safe as one disk"
        return _finding(what, "warning", text, advice)
    if needed == "1":
        text = (
            f"{number}, {fewest} replicas, but min.insync.replicas is 1: one disk is enough "
            "for an acknowledgement"
        )
        return _finding(what, "warning", text, "set its min.insync.replicas to 2")
    return _finding(
        what, "ok", f"{number}, {fewest} replicas, {needed or 'unknown'} to acknowledge"
    )


def _leaders(topic: TopicView) -> Iterator[Finding]:
    if topic.config.get(_UNCLEAN) == "true":
        text = (
            "a replica that lacks acknowledged messages may become the leader; they are lost then"
        )
        yield _finding(f"leaders of {topic.name}", "problem", text, f"set {_UNCLEAN}=false")


def _cleanup(source: TopicView) -> Iterator[Finding]:
    policy = source.config.get("cleanup.policy", "delete")
    if policy != "delete":
        text = (
            f"a later message with the same key deletes one, read or not: cleanup.policy={policy}"
        )
        yield _finding(f"cleanup of {source.name}", "problem", text, "set cleanup.policy=delete")


def _source_retention(source: TopicView) -> Finding:
    what = f"retention of {source.name}"
    age, size = (int(source.config.get(f"retention.{unit}", -1)) for unit in ("ms", "bytes"))
    text = f"for {_duration(age)}" if age >= 0 else "until somebody deletes them"
    limit = f", and up to {size} bytes a partition" if size >= 0 else ""
    text = f"messages are kept {text}{limit}"
    if 0 <= age < _SHORT_HOURS * _MS_AN_HOUR:
        advice = "keep them for longer than the longest outage: raise retention.ms"
        return _finding(what, "warning", f"{text}, read or not", advice)
    return _finding(what, "ok", text)


def _duration(milliseconds: int) -> str:
    """The duration in the largest unit of which it has at least two, rounded down."""
    for unit, size in (("days", 24 * _MS_AN_HOUR), ("hours", _MS_AN_HOUR), ("minutes", 60_000)):
        if milliseconds >= 2 * size:
            return f"{milliseconds // size} {unit}"
    return f"{milliseconds / 1000:g} s"


def _retention(dead_letters: TopicView, wanted_ms: int) -> Finding:
    what = f"retention of {dead_letters.name}"
    wanted = {
        "cleanup.policy": "delete",
        "retention.ms": str(wanted_ms),
        "retention.bytes": "-1",
    }
    found = {name: dead_letters.config.get(name, value) for name, value in wanted.items()}
    wrong = [name for name, value in wanted.items() if found[name] != value]
    age = int(found["retention.ms"])
    kept = f"kept for {_duration(age)}" if age >= 0 else "kept until somebody deletes them"
    if not wrong:
        return _finding(what, "ok", kept)
    settings = ", ".join(f"{name}={found[name]}" for name in wrong)
    advice = "set " + ", ".join(f"{name}={wanted[name]}" for name in wrong)
    if wrong == ["retention.ms"] and wanted_ms >= 0 and not 0 <= age < wanted_ms:
        text = f"{kept}, longer than ORDERS_KAFKA_DLQ_RETENTION says: {settings}"
        return _finding(what, "warning", text, advice)
    text = f"dead letters will be deleted before anybody has seen them: {settings}"
    return _finding(what, "problem", text, advice)


def _timestamps(dead_letters: TopicView) -> Iterator[Finding]:
    wrong = {n: v for n, v in _ANY_TIMESTAMP.items() if dead_letters.config.get(n, v) != v}
    if wrong:
        found = ", ".join(f"{name}={dead_letters.config[name]}" for name in wrong)
        wanted = ", ".join(f"{name}={value}" for name, value in wrong.items())
        text = f"those of dead letters are replaced, the originals stay in a header: {found}"
        yield _finding(f"timestamps of {dead_letters.name}", "warning", text, f"set {wanted}")


def _sizes(source: TopicView, dead_letters: TopicView) -> Finding:
    what = f"size limit of {dead_letters.name}"
    default = str(DEFAULT_MAX_MESSAGE_BYTES)
    wanted = 2 * int(source.config.get("max.message.bytes", default))
    found = int(dead_letters.config.get("max.message.bytes", default))
    if found < wanted:
        text = f"{found} bytes: a large message does not fit once the reason is added to it"
        advice = f"set its max.message.bytes to {wanted}, twice that of {source.name}"
        return _finding(what, "problem", text, advice)
    return _finding(what, "ok", f"{found} bytes, enough for any message and its headers")


def _listed(numbers: list[int]) -> str:
    return "partition " + ", ".join(map(str, numbers))
