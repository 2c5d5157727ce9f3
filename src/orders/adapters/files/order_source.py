"""Reads orders from files and standard input."""

from collections.abc import AsyncIterator, Iterator, Sequence
from functools import partial
from typing import IO

from orders.adapters.files.compression import BrokenFileError, read_chunks
from orders.adapters.files.splitting import MAX_DOCUMENT, Piece, UnclosedError, split
from orders.daemon_thread import in_daemon_thread
from orders.domain.errors import NotFound, Unavailable
from orders.domain.intake.faults import Fault
from orders.domain.ports import OrderSource, SourceEntry, Unreadable

STDIN = "-"

_BATCH = 1_000
_BATCH_BYTES = 4 * 1024 * 1024


class FileOrderSource(OrderSource):
    """Reads JSON lines and JSON arrays, plain or compressed, which the content shows.

    ``names`` are files; ``-`` is standard input.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)

    async def batches(self) -> AsyncIterator[Sequence[SourceEntry]]:
        """See ``OrderSource.batches``."""
        for name in self._names:
            batches = _batches(name)
            while batch := await in_daemon_thread(partial(next, batches, None)):
                yield batch


def _batches(name: str) -> Iterator[Sequence[SourceEntry]]:
    batch: list[SourceEntry] = []
    size = 0
    for entry in _entries(name):
        batch.append(entry)
        size += len(entry.content) if isinstance(entry.content, bytes) else 0
        if len(batch) >= _BATCH or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _entries(name: str) -> Iterator[SourceEntry]:
    prefix = "" if name == STDIN else f"{name}: "
    try:
        with _opened(name) as file:
            try:
                for piece in split(read_chunks(file)):
                    yield SourceEntry(prefix + piece.place, _content(piece))
            except UnclosedError:
                yield _cut(prefix, "the array is not closed")
            except BrokenFileError as error:
                yield _cut(prefix, str(error))
    except FileNotFoundError:
        raise NotFound(f"there is no file {name}") from None
    except OSError as error:
        raise Unavailable(f"cannot read {name}: {error.strerror}") from error


def _opened(name: str) -> IO[bytes]:
    # Not sys.stdin: an interpreter that ends aborts if a thread is reading from that.
    return open(0, "rb", closefd=False) if name == STDIN else open(name, "rb")  # noqa: PTH123


def _content(piece: Piece) -> bytes | Unreadable:
    if piece.raw is not None:
        return piece.raw
    return Unreadable("too-large", Fault((), f"must not have more than {MAX_DOCUMENT:,} bytes"))


def _cut(prefix: str, what: str) -> SourceEntry:
    return SourceEntry(f"{prefix}end", Unreadable("undecodable", Fault((), what)))
