"""Sinks of orders: in memory, JSON lines and CSV."""

import csv
import gzip
import stat
from pathlib import Path

import msgspec
import pytest
import zstandard

from orders.adapters.files.order_sink import CsvOrderSink, NdjsonOrderSink
from orders.adapters.memory.order_sink import MemoryOrderSink
from orders.domain.errors import Invalid, Unavailable
from orders.domain.intake.reading import read
from orders.domain.order.document import StoredOrder
from tests.builders import order_bytes
from tests.contracts.order_sink import OrderSinkContract, SinkSide, stored


def files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


class MemorySide(SinkSide):
    def __init__(self) -> None:
        self.sink: MemoryOrderSink = MemoryOrderSink()

    def exported(self) -> list[str] | None:
        found = self.sink.documents
        return None if found is None else [msgspec.json.decode(d)["order_uid"] for d in found]


class TestMemoryOrderSink(OrderSinkContract):
    @pytest.fixture
    def side(self) -> SinkSide:
        return MemorySide()


class NdjsonSide(SinkSide):
    def __init__(self, path: Path) -> None:
        self._path = path
        self.sink = NdjsonOrderSink(path, None)

    def exported(self) -> list[str] | None:
        if not self._path.exists():
            return None
        assert stat.S_IMODE(self._path.stat().st_mode) == 0o600
        assert list(self._path.parent.iterdir()) == [self._path]
        data = self._path.read_bytes()
        if self._path.suffix == ".gz":
            data = gzip.decompress(data)
        elif self._path.suffix == ".zst":
            data = zstandard.ZstdDecompressor().decompressobj().decompress(data)
        return [msgspec.json.decode(line)["order_uid"] for line in data.splitlines()]


@pytest.mark.parametrize("name", ["orders.ndjson", "orders.ndjson.gz", "orders.ndjson.zst"])
class TestNdjsonOrderSink(OrderSinkContract):
    @pytest.fixture
    def side(self, name: str, tmp_path: Path) -> SinkSide:
        return NdjsonSide(tmp_path / name)

    async def test_leaves_an_older_export_until_the_commit(
        self, side: SinkSide, name: str, tmp_path: Path
    ) -> None:
        (tmp_path / name).write_bytes(b"older")
        await side.sink.write([stored("a")])
        assert (tmp_path / name).read_bytes() == b"older"
        await side.sink.commit()
        assert side.exported() == ["a"]

    async def test_leaves_nothing_behind(self, side: SinkSide, name: str, tmp_path: Path) -> None:
        await side.sink.write([stored("a")])
        await side.sink.discard()
        assert not files(tmp_path)

    async def test_a_folder_that_is_gone(self, name: str, tmp_path: Path) -> None:
        with pytest.raises(Unavailable, match="cannot write"):
            await NdjsonOrderSink(tmp_path / "none" / name, None).write([stored("a")])


class CsvSide(SinkSide):
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.sink = CsvOrderSink(folder)

    def exported(self) -> list[str] | None:
        if not self._folder.exists():
            return None
        assert stat.S_IMODE(self._folder.stat().st_mode) == 0o700
        assert all(stat.S_IMODE(p.stat().st_mode) == 0o600 for p in self._folder.iterdir())
        return [row["order_uid"] for row in rows(self._folder, "orders")]


def rows(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


class TestCsvOrderSink(OrderSinkContract):
    @pytest.fixture
    def side(self, tmp_path: Path) -> SinkSide:
        return CsvSide(tmp_path / "out")

    async def test_leaves_nothing_behind(self, side: SinkSide, tmp_path: Path) -> None:
        await side.sink.write([stored("a")])
        await side.sink.discard()
        assert not files(tmp_path)

    async def test_does_not_replace_a_folder_with_files(
        self, side: SinkSide, tmp_path: Path
    ) -> None:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "mine").write_text("x")
        with pytest.raises(Invalid):
            await side.sink.commit()
        assert (tmp_path / "out" / "mine").read_text() == "x"

    async def test_every_field_is_there_and_no_formula(
        self, side: SinkSide, tmp_path: Path
    ) -> None:
        order = read(order_bytes("=1+1")).accepted[0].order
        delivery = msgspec.structs.replace(order.delivery, name="a\n=b", phone="+7", city="-x")
        item = msgspec.structs.replace(order.items[0], name="@x", price=7, sale=-3)
        order = msgspec.structs.replace(order, delivery=delivery, items=(item, item))
        await side.sink.write([StoredOrder.of(order)])
        await side.sink.commit()
        [row] = rows(tmp_path / "out", "orders")
        assert row["order_uid"] == "'=1+1"
        assert (row["delivery_name"], row["delivery_phone"], row["delivery_city"]) == (
            "a\n=b",
            "'+7",
            "'-x",
        )
        assert row["payment_amount"] == str(order.payment.amount)
        document = msgspec.to_builtins(order)
        parts = {
            f"{part}_{name}" for part in ("delivery", "payment") for name in document.pop(part)
        }
        assert row.keys() == document.keys() - {"items"} | parts
        first, second = rows(tmp_path / "out", "items")
        assert first | {"position": "1"} == second
        assert (first["order_uid"], first["position"], first["name"]) == ("'=1+1", "0", "'@x")
        assert (first["price"], first["sale"]) == ("7", "-3")
