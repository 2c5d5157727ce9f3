"""The columns and rows of the four tables, derived from the structs of the domain."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Annotated, Any, get_args, get_origin

import msgspec
from msgspec import Struct
from msgspec.structs import astuple

from orders.domain.order.model import Delivery, Item, Order, Payment

_TYPES = {str: "text", int: "int8", datetime: "timestamptz"}


class Table(Struct, frozen=True):
    """A table with its columns and their PostgreSQL types; ``rows`` makes its rows from orders."""

    name: str
    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: Callable[[Iterable[Order]], Iterator[Sequence[Any]]]


def scalars(struct: type[Struct]) -> dict[str, str]:
    """The fields of a struct that are columns, with their PostgreSQL types."""
    bare = {field.name: _bare(field.type) for field in msgspec.structs.fields(struct)}
    return {name: _TYPES[kind] for name, kind in bare.items() if kind in _TYPES}


def _bare(kind: Any) -> Any:
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


_order_row = attrgetter(*scalars(Order))
# All fields of the other three structs are columns, so the faster `astuple` does.


def _orders(batch: Iterable[Order]) -> Iterator[Sequence[Any]]:
    return map(_order_row, batch)


def _delivery(batch: Iterable[Order]) -> Iterator[Sequence[Any]]:
    return ((order.order_uid, *astuple(order.delivery)) for order in batch)


def _payments(batch: Iterable[Order]) -> Iterator[Sequence[Any]]:
    return ((order.order_uid, *astuple(order.payment)) for order in batch)


def _items(batch: Iterable[Order]) -> Iterator[Sequence[Any]]:
    return (
        (order.order_uid, position, *astuple(item))
        for order in batch
        for position, item in enumerate(order.items)
    )


def _table(
    name: str,
    columns: dict[str, str],
    rows: Callable[[Iterable[Order]], Iterator[Sequence[Any]]],
) -> Table:
    return Table(name, tuple(columns), tuple(columns.values()), rows)


_UID = {"order_uid": "text"}

TABLES = (
    _table("orders", scalars(Order), _orders),
    _table("delivery", _UID | scalars(Delivery), _delivery),
    _table("payments", _UID | scalars(Payment), _payments),
    _table("items", _UID | {"position": "int4"} | scalars(Item), _items),
)
"""Referenced tables come before those that refer to them."""

FORGOTTEN_AT = "forgotten_at"
"""The column of ``orders`` that is set in a tombstone alone."""

STORED_XID = "stored_xid"
"""The column of ``orders`` with the transaction that has stored or forgotten the order."""
