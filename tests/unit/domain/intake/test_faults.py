"""How a broken rule's place is written."""

import pytest

from orders.domain.errors import (
    Invalid,
    NotFound,
    OrdersError,
    TooLarge,
    Unavailable,
    Undecodable,
    UnknownSchema,
)
from orders.domain.intake.faults import Fault


@pytest.mark.parametrize(
    ("path", "json_path", "pointer"),
    [
        ((), "$", ""),
        (("payment", "amount"), "$.payment.amount", "/payment/amount"),
        ((2,), "$[2]", "/2"),
        ((2, "items", 0, "price"), "$[2].items[0].price", "/2/items/0/price"),
        (("a/b", "c~d"), "$.a/b.c~d", "/a~1b/c~0d"),
    ],
)
def test_a_place_is_written_in_two_ways(
    path: tuple[str | int, ...], json_path: str, pointer: str
) -> None:
    fault = Fault(path, "expected int")
    assert (fault.json_path, fault.pointer) == (json_path, pointer)
    assert str(fault) == f"{json_path}: expected int"


def test_it_may_be_seen_from_further_out() -> None:
    assert Fault(("price",), "x").under("items", 0) == Fault(("items", 0, "price"), "x")
    assert Fault((), "x").under(3).json_path == "$[3]"


def test_every_kind_of_error_has_a_code_of_its_own() -> None:
    kinds: list[type[OrdersError]] = [
        OrdersError,
        Invalid,
        Undecodable,
        TooLarge,
        NotFound,
        Unavailable,
        UnknownSchema,
    ]
    assert len({kind.code for kind in kinds}) == len(kinds)


def test_an_invalid_document_keeps_all_its_faults() -> None:
    faults = [Fault((), "x"), Fault(("a",), "y")]
    assert Invalid("wrong", faults).faults == tuple(faults)
    assert str(Invalid("wrong", faults)) == "wrong"
