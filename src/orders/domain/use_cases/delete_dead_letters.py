"""Deletes the oldest dead letters of each partition."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime

from msgspec import Struct, field

from orders.domain.dead_letters.index import (
    MAX_ATTEMPTS,
    Progress,
    State,
    index_dead_letters,
    read_all,
    state_of,
)
from orders.domain.errors import OrdersError, Unavailable
from orders.domain.intake.messages import Identity
from orders.domain.ports import DeadLetterDeletion, DeadLetterReader, ReplayJournal


class DeletionReport(Struct):
    """How many ``records`` were deleted, and in which state the dead letters among them were.

    ``ends``: for each partition the first offset that is kept. ``waiting``: dead letters that wait
    and for which others, behind them, were kept. ``behind``: records that were asked for, but stand
    behind one that is kept.
    """

    records: int = 0
    states: Counter[State] = field(default_factory=Counter)
    ends: dict[int, int] = field(default_factory=dict)
    waiting: list[Identity] = []
    behind: int = 0


class DeleteDeadLetters:
    """Deletes dead letters from the beginning of each partition, as far as a choice goes.

    ``everything`` also reads dead letters of forgotten orders, which are deleted like those that
    were replayed; ``remembered`` reads the others.
    """

    def __init__(
        self,
        everything: DeadLetterReader,
        remembered: DeadLetterReader,
        journal: ReplayJournal,
        deletion: DeadLetterDeletion,
    ) -> None:
        self._everything = everything
        self._remembered = remembered
        self._journal = journal
        self._deletion = deletion

    async def __call__(
        self,
        before: datetime,
        *,
        include_waiting: bool = False,
        max_attempts: int = MAX_ATTEMPTS,
        dry_run: bool = False,
        progress: Progress = lambda _done, _total: None,
        on_deleted: Callable[[DeletionReport, str], None] = lambda _report, _outcome: None,
    ) -> DeletionReport:
        """Delete what failed before ``before``, up to the first record of a partition that did not.

        Without ``include_waiting``, up to the first one that waits for a replay. ``on_deleted`` is
        called with ``ok``, or with the code of the error with which the deletion failed: some
        partitions may have come through.

        Raises:
            NotFound: the topic does not exist.
            Unavailable: the brokers are unreachable, or refuse it; or what waits is not known.
        """
        index = await index_dead_letters(self._remembered, self._journal, progress)
        last = {partition: ends[1] for partition, ends in index.places.bounds.items()}
        report = DeletionReport()
        closed: set[int] = set()
        async for entry in read_all(self._everything, progress):
            partition, offset = entry.place
            is_old = entry.dead_letter is None or entry.dead_letter.failed_at < before
            is_indexed = offset <= last.get(partition, -1)  # else it was written in the meantime
            if partition in closed or not is_old or not is_indexed:
                report.behind += is_old
                closed.add(partition)
                continue
            if entry.place not in index.places:
                raise Unavailable(
                    f"offset {offset} of partition {partition} was not read at first, so it may "
                    "wait for a replay; nothing was deleted, run it again"
                )
            root = index.root_at(entry)
            state = root and state_of(index.dead_letters[root], index.notes.get(root), max_attempts)
            if root and state == "waiting" and not include_waiting:
                report.waiting.append(root)
                closed.add(partition)
                continue
            report.ends[partition] = offset + 1
            report.records += 1
            if state:
                report.states[state] += 1
        if report.ends and not dry_run:
            try:
                await self._deletion.delete(report.ends)
            except OrdersError as error:
                on_deleted(report, error.code)
                raise
            on_deleted(report, "ok")
        return report
