"""Writes orders to files: JSON lines or CSV."""

import asyncio
import csv
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import msgspec

from orders.adapters.files.compression import SUFFIXES, Compression, open_compressed
from orders.domain.errors import Invalid, Unavailable
from orders.domain.order.document import StoredOrder
from orders.domain.order.model import Delivery, Item, Order, Payment
from orders.domain.ports import OrderSink

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
_PARTS: dict[str, tuple[str, ...]] = {
    "delivery": Delivery.__struct_fields__,
    "payment": Payment.__struct_fields__,
}
_OWN = tuple(name for name in Order.__struct_fields__ if name not in {*_PARTS, "items"})


class NdjsonOrderSink(OrderSink):
    """Writes one order a line, as it is stored: to ``path``, or to standard output.

    A file has a temporary name until ``commit``, and only its owner may read it. Without a
    ``compression``, the suffix of ``path`` decides.
    """

    def __init__(self, path: Path | None, compression: Compression | None) -> None:
        suffix = path.suffix if path else ""
        self._compression = compression or SUFFIXES.get(suffix, "none")
        self._path = path
        self._temporary: Path | None = None
        self._file: IO[bytes] | None = None
        self._output: IO[bytes] | None = None

    async def write(self, orders: Sequence[StoredOrder]) -> None:
        """See ``OrderSink.write``."""
        lines = b"".join([order.document + b"\n" for order in orders])
        await asyncio.to_thread(self._write, lines)

    async def commit(self) -> None:
        """See ``OrderSink.commit``."""
        await asyncio.to_thread(self._commit)

    async def discard(self) -> None:
        """See ``OrderSink.discard``; what is on standard output stays there."""
        if self._temporary is not None and self._file is not None and self._output is not None:
            for file in (self._output, self._file):
                with suppress(OSError):
                    file.close()
            self._temporary.unlink(missing_ok=True)
            self._temporary = None

    def _write(self, data: bytes) -> None:
        with _as_unavailable():
            self._opened().write(data)

    def _opened(self) -> IO[bytes]:
        if self._output is None:
            if self._path is None:
                self._file = sys.stdout.buffer
            else:
                folder, name = self._path.parent, self._path.name
                number, temporary = tempfile.mkstemp(".part", f".{name}.", folder)
                self._file, self._temporary = os.fdopen(number, "wb"), Path(temporary)
            is_plain = self._compression == "none"
            self._output = (
                self._file if is_plain else open_compressed(self._file, self._compression)
            )
        return self._output

    def _commit(self) -> None:
        with _as_unavailable():
            output = self._opened()
            assert self._file is not None
            if output is not self._file:
                output.close()
            self._file.flush()
            if self._temporary is not None and self._path is not None:
                os.fsync(self._file.fileno())
                self._file.close()
                self._temporary.replace(self._path)
                self._temporary = None


class CsvOrderSink(OrderSink):
    """Writes ``orders.csv`` and ``items.csv`` to a new folder, joined by order_uid.

    The folder has a temporary name until ``commit``, and only its owner may read it. Text that a
    spreadsheet would run as a formula gets an apostrophe in front.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._temporary: Path | None = None
        self._files: list[IO[str]] = []
        self._writers: list[Any] = []

    async def write(self, orders: Sequence[StoredOrder]) -> None:
        """See ``OrderSink.write``."""
        await asyncio.to_thread(self._write, orders)

    async def commit(self) -> None:
        """See ``OrderSink.commit``.

        Raises:
            Invalid: the folder exists and is not empty.
        """
        await asyncio.to_thread(self._commit)

    async def discard(self) -> None:
        """See ``OrderSink.discard``."""
        if self._temporary is not None:
            for file in self._files:
                with suppress(OSError):
                    file.close()
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary = None

    def _write(self, orders: Sequence[StoredOrder]) -> None:
        with _as_unavailable():
            self._open()
            rows, item_rows = self._writers
            for stored in orders:
                order = msgspec.json.decode(stored.document)
                uid = _cell(order["order_uid"])
                of_parts = [
                    _cell(order[part][name]) for part, names in _PARTS.items() for name in names
                ]
                rows.writerow([*(_cell(order[name]) for name in _OWN), *of_parts])
                for position, item in enumerate(order["items"]):
                    cells = [_cell(item[name]) for name in Item.__struct_fields__]
                    item_rows.writerow([uid, position, *cells])

    def _open(self) -> None:
        if self._temporary is not None:
            return
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = tempfile.mkdtemp(".part", f".{self._folder.name}.", self._folder.parent)
        self._temporary = Path(temporary)
        for name in ("orders", "items"):
            number = os.open(self._temporary / f"{name}.csv", os.O_CREAT | os.O_WRONLY, 0o600)
            self._files.append(os.fdopen(number, "w", encoding="utf-8", newline=""))
        self._writers = [csv.writer(file) for file in self._files]
        of_parts = [f"{part}_{name}" for part, names in _PARTS.items() for name in names]
        self._writers[0].writerow([*_OWN, *of_parts])
        self._writers[1].writerow(["order_uid", "position", *Item.__struct_fields__])

    def _commit(self) -> None:
        with _as_unavailable():
            self._open()
            assert self._temporary is not None
            for file in self._files:
                file.flush()
                os.fsync(file.fileno())
                file.close()
            if self._folder.is_dir() and any(self._folder.iterdir()):
                raise Invalid(f"the folder {self._folder} is not empty")
            self._temporary.replace(self._folder)
            self._temporary = None


@contextmanager
def _as_unavailable() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(f"cannot write: {error.strerror or error}") from error


def _cell(value: str | int) -> str | int:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_STARTS) else value
