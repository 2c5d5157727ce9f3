"""What every census of orders keeps to. Subclasses give the fixture ``make``."""

from collections.abc import Sequence
from typing import Protocol

import pytest

from orders.domain.ports import OrderCensus, OrderNumbers
from tests.builders import order_bytes


class Make(Protocol):
    """Makes a census of the orders ``order(uid, extra)`` of these order_uids."""

    async def __call__(self, order_uids: Sequence[str], extra: int = 0) -> OrderCensus: ...


def order(uid: str, extra: int) -> bytes:
    """Return ``order_bytes(uid)`` with so many more bytes in its address."""
    return order_bytes(uid).replace(b'"address": "', b'"address": "' + b"x" * extra)


async def uids(census: OrderCensus, sample: int | None, seed: int = 1) -> list[str]:
    return [uid async for batch in census.uids(sample, seed) for uid in batch]


async def documents(census: OrderCensus, order_uids: Sequence[str]) -> dict[str, bytes]:
    parts = [part async for part in census.documents(order_uids)]
    return {uid: document for part in parts for uid, document in part.items()}


class OrderCensusContract:
    @pytest.fixture
    def make(self) -> Make:
        raise NotImplementedError

    async def test_counts_by_day(self, make: Make) -> None:
        assert await (await make(["a", "b"])).numbers() == OrderNumbers({"2021-11-26": 2})

    async def test_yields_each_order_uid_once(self, make: Make) -> None:
        names = [f"uid-{n:04}" for n in range(2_500)]
        assert sorted(await uids(await make(names), None)) == names

    async def test_a_sample_is_of_its_size_and_depends_on_the_seed(self, make: Make) -> None:
        census = await make([f"uid-{n}" for n in range(100)])
        first = await uids(census, 10)
        assert len(set(first)) == 10
        assert await uids(census, 10) == first
        assert await uids(census, 10, seed=2) != first

    async def test_finds_the_documents_there_are(self, make: Make) -> None:
        found = await documents(await make(["a", "b"]), ["a", "none"])
        assert list(found) == ["a"]
        assert b'"Test Testov"' in found["a"]

    async def test_documents_come_in_parts_of_a_bounded_size(self, make: Make) -> None:
        names = [f"uid-{n:02}" for n in range(40)]
        census = await make(names, extra=800_000)
        parts = [part async for part in census.documents(names)]
        assert sorted(uid for part in parts for uid in part) == names
        assert max(sum(map(len, part.values())) for part in parts) <= 16 * 2**20

    async def test_knows_the_order_uids_there_are(self, make: Make) -> None:
        assert await (await make(["a", "b"])).known(["a", "none"]) == {"a"}

    async def test_of_nothing_there_is_nothing(self, make: Make) -> None:
        census = await make([])
        assert (await census.numbers(), await uids(census, None), await uids(census, 5)) == (
            OrderNumbers({}),
            [],
            [],
        )
