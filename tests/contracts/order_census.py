"""What every census of orders keeps to. Subclasses give the fixture ``make``."""

from collections.abc import Awaitable, Callable, Sequence

import pytest

from orders.domain.ports import OrderCensus, OrderNumbers

Make = Callable[[Sequence[str]], Awaitable[OrderCensus]]


async def uids(census: OrderCensus, sample: int | None, seed: int = 1) -> list[str]:
    return [uid async for batch in census.uids(sample, seed) for uid in batch]


class OrderCensusContract:
    @pytest.fixture
    def make(self) -> Make:
        """Make a census of the orders ``order_bytes(uid)`` of these order_uids."""
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
        found = await (await make(["a", "b"])).documents(["a", "none"])
        assert list(found) == ["a"]
        assert b'"Test Testov"' in found["a"]

    async def test_knows_the_order_uids_there_are(self, make: Make) -> None:
        assert await (await make(["a", "b"])).known(["a", "none"]) == {"a"}

    async def test_of_nothing_there_is_nothing(self, make: Make) -> None:
        census = await make([])
        assert (await census.numbers(), await uids(census, None), await uids(census, 5)) == (
            OrderNumbers({}),
            [],
            [],
        )
