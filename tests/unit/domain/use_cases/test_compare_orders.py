"""Orders of two stores are compared; names of fields are reported, and no values."""

import json

from orders.adapters.memory.order_census import MemoryOrderCensus
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


async def test_equal_orders_are_equal_whatever_their_bytes() -> None:
    old = MemoryOrderCensus({"a": changed("a"), "b": b" " + order_bytes("b")})
    result = await CompareOrders(stored("a", "b"))(old, sample=None)
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
    result = await CompareOrders(stored("a", "b", "new"))(old, sample=None)
    assert not result.is_equal
    assert result.uids == {
        "different": ["a", "b"],
        "only in the old": ["old"],
        "only in the new": ["new"],
    }
    assert result.fields == {"items[].brand": 1, "locale": 1, "items": 1}
    assert "secret" not in str(result)


async def test_what_cannot_be_taken_over_is_counted_apart() -> None:
    old = MemoryOrderCensus(
        {
            "a": order_bytes("a"),
            "half": changed("half", delivery=None),
            "unpaid": changed("unpaid", payment=None),
            "wrong": changed("wrong", customer_id=" "),
        }
    )
    result = await CompareOrders(stored("a"))(old, sample=None)
    assert (result.equal, result.incomplete, result.invalid) == (1, 2, 1)
    assert result.is_equal


async def test_an_invalid_order_that_is_stored_here_is_a_difference() -> None:
    old = MemoryOrderCensus({"a": changed("a", delivery=None)})
    result = await CompareOrders(stored("a"))(old, sample=None)
    assert result.uids == {"different": ["a"]}


async def test_few_are_named_and_all_are_counted() -> None:
    uids = [f"uid-{n}" for n in range(SHOWN + 5)]
    result = await CompareOrders(stored())(
        MemoryOrderCensus({uid: order_bytes(uid) for uid in uids}), sample=None
    )
    assert result.counts == {"only in the old": SHOWN + 5}
    assert len(result.uids["only in the old"]) == SHOWN
