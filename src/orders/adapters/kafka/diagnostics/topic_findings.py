"""What both topics must be like for the guarantee to hold."""

from collections.abc import Iterator
from functools import partial

from orders.adapters.kafka.client.cluster_view import ClusterView, TopicView
from orders.adapters.kafka.client.topics import DEFAULT_MAX_MESSAGE_BYTES
from orders.domain.ports import Finding

PART = "kafka"
_finding = partial(Finding, PART)

_UNCLEAN = "unclean.leader.election.enable"
_SHORT_HOURS = 24
"""Outages of a night are not rare: what the source keeps for less is told."""
_MS_AN_HOUR = 3_600_000

_KEEP_ALL = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}


def topic_findings(view: ClusterView) -> Iterator[Finding]:
    """What is to be said of the topic of orders, then of that of dead letters."""
    for name in view.denied:
        advice = "grant this user DESCRIBE where that is the error; else look into the brokers' log"
        yield _finding("untold", "warning", f"the brokers do not tell: {name}", advice)
    names = {view.settings.topic: view.source, view.settings.dlq_topic: view.dead_letters}
    for name, topic in names.items():
        if topic:
            yield _copies(topic)
            yield from _leaders(topic)
        elif not any(denied.startswith(f"topic {name} ") for denied in view.denied):
            advice = "start `orders consumer` or `orders api`: they make it"
            yield _finding(f"topic {name}", "problem", "is missing", advice)
    if view.source and view.source.config:
        yield from _cleanup(view.source)
        yield _source_retention(view.source)
    if view.dead_letters and view.dead_letters.config:
        yield _retention(view.dead_letters)
        if view.source and view.source.config:
            yield _sizes(view.source, view.dead_letters)


def _copies(topic: TopicView) -> Finding:
    what, parts = f"topic {topic.name}", topic.partitions
    number = f"{len(parts)} partitions" if len(parts) > 1 else "1 partition"
    headless = sorted(n for n, partition in parts.items() if not partition.has_leader)
    behind = sorted(n for n, partition in parts.items() if partition.in_sync < partition.copies)
    fewest = min(partition.copies for partition in parts.values())
    needed = topic.config.get("min.insync.replicas")
    advice = "let it have 3 replicas, with min.insync.replicas=2"
    if headless:
        text = f"{number}; nobody leads {_listed(headless)}, they can neither be read nor written"
        return _finding(what, "problem", text, "bring the brokers that hold them back")
    if behind:
        text = f"{number}; {_listed(behind)} have fewer replicas in sync than they should"
        return _finding(what, "problem", text, "bring the brokers that hold the others back")
    if fewest == 1:
        text = f"{number}, one replica: what is acknowledged is as safe as one disk"
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
        text = "a replica that lacks what was acknowledged may come to lead, and that is lost then"
        yield _finding(f"leaders of {topic.name}", "problem", text, f"set {_UNCLEAN}=false")


def _cleanup(source: TopicView) -> Iterator[Finding]:
    policy = source.config.get("cleanup.policy", "delete")
    if policy != "delete":
        text = f"a later message erases one with its key, read or not: cleanup.policy={policy}"
        yield _finding(f"cleanup of {source.name}", "problem", text, "set cleanup.policy=delete")


def _source_retention(source: TopicView) -> Finding:
    what = f"retention of {source.name}"
    kept, size = (int(source.config.get(f"retention.{unit}", -1)) for unit in ("ms", "bytes"))
    text = f"for {_duration(kept)}" if kept >= 0 else "until somebody removes it"
    limit = f", and up to {size} bytes a partition" if size >= 0 else ""
    text = f"what comes is kept {text}{limit}"
    if 0 <= kept < _SHORT_HOURS * _MS_AN_HOUR:
        advice = "keep it beyond the longest outage: raise its retention.ms"
        return _finding(what, "warning", f"{text}, be it read or not", advice)
    return _finding(what, "ok", text)


def _duration(milliseconds: int) -> str:
    """For people; rounded down, never to less than two of its unit where that can be."""
    for unit, size in (("days", 24 * _MS_AN_HOUR), ("hours", _MS_AN_HOUR), ("minutes", 60_000)):
        if milliseconds >= 2 * size:
            return f"{milliseconds // size} {unit}"
    return f"{milliseconds / 1000:g} s"


def _retention(letters: TopicView) -> Finding:
    what = f"retention of {letters.name}"
    wrong = {name: letters.config[name] for name in _KEEP_ALL if _differs(letters, name)}
    if wrong:
        found = ", ".join(f"{name}={value}" for name, value in wrong.items())
        wanted = ", ".join(f"{name}={_KEEP_ALL[name]}" for name in wrong)
        text = f"dead letters will be deleted before anybody saw them: {found}"
        return _finding(what, "problem", text, f"set {wanted}")
    return _finding(what, "ok", "kept until somebody removes them")


def _differs(letters: TopicView, name: str) -> bool:
    return letters.config.get(name, _KEEP_ALL[name]) != _KEEP_ALL[name]


def _sizes(source: TopicView, letters: TopicView) -> Finding:
    what = f"size limit of {letters.name}"
    default = str(DEFAULT_MAX_MESSAGE_BYTES)
    wanted = 2 * int(source.config.get("max.message.bytes", default))
    found = int(letters.config.get("max.message.bytes", default))
    if found < wanted:
        text = f"{found} bytes: a large message does not fit once it says why it failed"
        advice = f"set its max.message.bytes to {wanted}, twice that of {source.name}"
        return _finding(what, "problem", text, advice)
    return _finding(what, "ok", f"{found} bytes, enough for any message and its headers")


def _listed(numbers: list[int]) -> str:
    return "partition " + ", ".join(map(str, numbers))
