"""What every source of orders keeps to. Subclasses give the fixture ``make``."""

from collections.abc import Callable, Sequence

import pytest

from orders.domain.ports import OrderSource, SourceEntry
from tests.builders import order_bytes

Make = Callable[[Sequence[bytes]], OrderSource]


async def entries(source: OrderSource) -> list[SourceEntry]:
    return [entry async for batch in source.batches() for entry in batch]


class OrderSourceContract:
    @pytest.fixture
    def make(self) -> Make:
        """Make a source of these documents."""
        raise NotImplementedError

    async def test_yields_all_in_their_order(self, make: Make) -> None:
        documents = [order_bytes(f"uid-{n}") for n in range(2_500)]
        assert [entry.content for entry in await entries(make(documents))] == documents

    async def test_no_batch_is_empty_and_none_is_large(self, make: Make) -> None:
        documents = [order_bytes(f"uid-{n}") for n in range(2_500)]
        sizes = [len(batch) async for batch in make(documents).batches()]
        assert sum(sizes) == 2_500
        assert 0 < min(sizes) <= max(sizes) <= 1_000

    async def test_every_entry_has_a_position_of_its_own(self, make: Make) -> None:
        found = await entries(make([order_bytes(f"uid-{n}") for n in range(10)]))
        assert len({entry.position for entry in found}) == 10

    async def test_of_nothing_there_is_no_batch(self, make: Make) -> None:
        assert await entries(make([])) == []
