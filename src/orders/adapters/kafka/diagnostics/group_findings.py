"""Findings about the consumer group: its members, its lag, and messages deleted unread."""

from collections.abc import Iterator, Mapping
from functools import partial

from orders.adapters.kafka.client.cluster_view import ClusterView, PartitionView
from orders.adapters.kafka.client.gaps import KEPT
from orders.adapters.kafka.consumer.assignors import NAMES
from orders.domain.ports import Finding

PART = "kafka"
_finding = partial(Finding, PART)

_NO_ASSIGNOR = ""  # while the group rebalances
_OTHERS = (
    "set another ORDERS_KAFKA_GROUP, or stop its other members: they receive some of the orders"
)

_IDLE = (
    "give the topic more partitions (kafka-topics.sh --alter --partitions), or stop the consumers "
    "that are too many; as spares they do no harm"
)


def group_findings(view: ClusterView) -> Iterator[Finding]:
    """Findings about the group, as far as the brokers describe it."""
    if view.source is None or not view.source.has_offsets:
        return
    parts = view.source.partitions
    lags = {number: _lag(partition) for number, partition in parts.items()}
    if view.members is not None:
        yield _members(view, view.members, len(parts), sum(lags.values()))
    yield _lags(lags)
    yield from _deleted_unread(parts)


def _lag(partition: PartitionView) -> int:
    """Messages not yet read; a group without a committed offset starts at the first one."""
    position = partition.start if partition.committed is None else partition.committed
    return max(0, partition.end - max(position, partition.start))


def _members(view: ClusterView, members: int, partitions: int, lag: int) -> Finding:
    what = f"group {view.settings.group}"
    advice = "start a consumer: `orders consumer`"
    if view.is_new_protocol:
        text = "of the new protocol (KIP-848): it has members that are no `orders consumer`"
        return _finding(what, "problem", text, _OTHERS)
    if members and view.assignor not in {*NAMES, _NO_ASSIGNOR}:
        text = f"its members use the assignor {view.assignor}: `orders consumer` cannot join them"
        return _finding(what, "problem", text, _OTHERS)
    if members:
        number = f"{members} consumers" if members > 1 else "1 consumer"
        text = f"{number}, {view.group_state.lower()}"
        if members > partitions:
            text += f"; {members - partitions} of them without a partition: the topic has "
            text += f"{partitions} in all"
            return _finding(what, "warning", text, _IDLE)
        return _finding(what, "ok", text)
    if lag:
        return _finding(what, "problem", f"no consumer is running; messages waiting: {lag}", advice)
    return _finding(what, "warning", "no consumer is running; no messages are waiting", advice)


def _lags(lags: Mapping[int, int]) -> Finding:
    total = sum(lags.values())
    if not total:
        return _finding("lag", "ok", "none: all messages have been read")
    each = ", ".join(f"{lag} in partition {number}" for number, lag in lags.items() if lag)
    return _finding("lag", "ok", f"messages waiting: {total} ({each})")


def _deleted_unread(parts: Mapping[int, PartitionView]) -> Iterator[Finding]:
    lost = {
        number: partition.start - partition.committed
        for number, partition in parts.items()
        if partition.committed is not None and partition.committed < partition.start
    }
    advice = "have them sent again, and raise the topic's retention or add consumers"
    if lost:
        each = ", ".join(f"{amount} in partition {number}" for number, amount in lost.items())
        text = f"messages deleted before they were read: {sum(lost.values())} ({each})"
        yield _finding("deleted unread", "problem", text, advice)
    for number, gap in ((n, partition.gap) for n, partition in parts.items()):
        if gap:
            noticed = gap.noticed_at.isoformat(sep=" ", timespec="minutes")
            where = f"offsets {gap.offsets} of partition {number}, noticed {noticed}"
            text = f"messages deleted before they were read: {where}"
            yield _finding(
                "deleted unread", "problem", text, f"{advice}; said for {KEPT.days} days"
            )
    beyond = sorted(n for n, p in parts.items() if p.committed is not None and p.committed > p.end)
    if beyond:
        text = f"the committed offset is beyond the end of partition {', '.join(map(str, beyond))}"
        advice = "was the topic recreated? the consumer starts there from the beginning"
        yield _finding("committed", "warning", text, advice)
