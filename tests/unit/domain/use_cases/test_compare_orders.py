"""Orders of two stores are compared; names of fields are reported, and no values."""

import asyncio
import json
from collections.abc import Sequence

import pytest

from orders.adapters.memory.erasure import MemoryErasure
from orders.adapters.memory.order_census import MemoryOrderCensus
from orders.adapters.memory.order_repository import MemoryOrderRepository
from orders.domain.intake.reading import read
from orders.domain.order.document import encode
from orders.domain.use_cases.compare_orders import SHOWN, CompareOrders
from tests.builders import order_bytes


def changed(uid: str, **fields: object) -> bytes:
    return json.dumps(json.loads(order_bytes(uid)) | fields).encode()


def stored(*uids: str) -> MemoryOrderCensus:
    return MemoryOrderCensus(
        {uid: encode(read(order_bytes(uid)).accepted[0].order) for uid in uids}
    )


def compare(new: MemoryOrderCensus) -> CompareOrders:
    return CompareOrders(new, MemoryErasure(MemoryOrderRepository()))


async def test_equal_orders_are_equal_whatever_their_bytes() -> None:
    old = MemoryOrderCensus({"a": changed("a"), "b": b" " + order_bytes("b")})
    result = await compare(stored("a", "b"))(old, sample=None)
    assert (result.equal, result.is_equal) == (2, True)


async def test_differences_are_named_by_kind_and_field() -> None:
    item = json.loads(order_bytes("a"))["items"][0]
    old = MemoryOrderCensus(
        {
            "a": changed("a", items=[item | {"brand": "secret"}], locale="secret"),
            "b": changed("b", items=[]),
            "old": order_bytes("old"),
        }
    )
    result = await compare(stored("a", "b", "new"))(old, sample=None)
    assert not result.is_equal
    assert result.uids == {
        "different": ["a", "b"],
        "only in the old database": ["old"],
        "only in the new database": ["new"],
    }
    assert result.fields == {"items[].brand": 1, "locale": 1, "items": 1}
    assert "secret" not in str(result)


@pytest.mark.parametrize("sample", [None, 1])
async def test_orders_stored_in_part_or_forgotten_are_no_difference(sample: int | None) -> None:
    old = MemoryOrderCensus(
        {
            "a": order_bytes("a"),
            "b": order_bytes("b"),
            "half": changed("half", delivery=None),
            "unpaid": changed("unpaid", payment=None),
            "forgotten half": changed("forgotten half", payment=None),
            "forgotten": order_bytes("forgotten"),
        }
    )
    erasure = MemoryErasure(MemoryOrderRepository())
    await erasure.forget(["forgotten", "forgotten half", "gone from both"])
    result = await CompareOrders(stored("a", "b"), erasure)(old, sample=sample)
    assert (result.old.incomplete, result.forgotten, result.is_equal) == (3, 1, True)
    assert result.equal == 2 or sample


@pytest.mark.parametrize(("sample", "missing"), [(None, 0), (2, 0), (1, 1)])
async def test_invalid_orders_are_no_difference_if_all_were_read(
    sample: int | None, missing: int
) -> None:
    wrong = {uid: changed(uid, customer_id=" ") for uid in ("x", "y")}
    result = await compare(stored())(MemoryOrderCensus(wrong), sample=sample)
    assert (result.invalid, result.missing) == (sample or 2, missing)
    assert result.is_equal == (not missing)


async def test_an_invalid_order_that_is_stored_here_is_a_difference() -> None:
    old = MemoryOrderCensus({"a": changed("a", customer_id=" ")})
    result = await compare(stored("a"))(old, sample=None)
    assert result.uids == {"different": ["a"]}


async def test_an_order_stored_in_part_by_the_old_service_is_only_in_the_new() -> None:
    old = MemoryOrderCensus({"a": changed("a", delivery=None)})
    result = await compare(stored("a"))(old, sample=None)
    assert (result.uids, result.is_equal) == ({"only in the new database": ["a"]}, False)


async def test_few_are_named_and_all_are_counted() -> None:
    uids = [f"uid-{n}" for n in range(SHOWN + 5)]
    result = await compare(stored())(
        MemoryOrderCensus({uid: order_bytes(uid) for uid in uids}), sample=None
    )
    assert result.counts == {"only in the old database": SHOWN + 5}
    assert len(result.uids["only in the old database"]) == SHOWN


async def test_a_stop_ends_the_comparison_while_a_server_works() -> None:
    class Slow(MemoryOrderCensus):
        async def known(self, order_uids: Sequence[str]) -> set[str]:
            is_asked.set()
            return await asyncio.Future()

    is_asked = asyncio.Event()
    old = Slow({"a": order_bytes("a")})
    result = await compare(stored("a"))(old, sample=None, wants_stop=is_asked.is_set)
    assert (result.equal, result.is_stopped, result.is_equal) == (1, True, False)
