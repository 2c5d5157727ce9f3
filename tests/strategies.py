"""Hypothesis strategies: everything that is valid, the unusual more often than in life."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, TypeVar

import msgspec
from hypothesis import strategies as st

from orders.domain.order.document import encode
from orders.domain.order.model import Delivery, Item, Order, Payment
from orders.domain.order.rules import ID_MAX_LENGTH, INT64_MAX, INT64_MIN

S = TypeVar("S", bound=msgspec.Struct)

characters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
"""All that PostgreSQL can store: any Unicode but U+0000 and the surrogates."""

_AWKWARD = (
    "",
    " ",
    "null",
    "\\N",
    "\\.",
    "\\",
    'a "quote"',
    "tab\tnew\nline\rfeed\x0b\x0c\b",
    "\x01\x1f\x7f\x80\u2028\u2029\ufeff\ufffe\uffff",
    "<script>alert(1)</script>",
    "'; DROP TABLE orders; --",
    "../..",
    "%2F",
    "ё́ ß ﷺ 👩‍👩‍👧‍👦 \U0010ffff",
    "{}",
    "[1,2]",
    "$1 %s",
)


def texts(min_size: int = 0, max_size: int | None = 60) -> st.SearchStrategy[str]:
    """Any text that can be stored, of this many characters."""
    awkward = [text for text in _AWKWARD if min_size <= len(text) <= (max_size or len(text))]
    return st.one_of(st.text(characters, min_size=min_size, max_size=max_size), _any_of(awkward))


def identifiers() -> st.SearchStrategy[str]:
    """Any order_uid, track_number or customer_id."""
    awkward = [text for text in _AWKWARD if text.strip()]
    awkward += ["x" * ID_MAX_LENGTH, "😀" * ID_MAX_LENGTH, ".", "..", "a/b", "0"]
    free = st.text(characters, min_size=1, max_size=40).filter(_is_identifier)
    return st.one_of(free, _any_of(awkward))


def phones() -> st.SearchStrategy[str]:
    """Any text that does not start with 0."""
    return st.one_of(
        st.from_regex(r"\A\+[1-9][0-9]{6,14}\Z"), texts(max_size=20).filter(_not_zero_first)
    )


def int64s() -> st.SearchStrategy[int]:
    """All of 64 bits, signed."""
    return st.one_of(st.integers(INT64_MIN, INT64_MAX), st.sampled_from([INT64_MIN, -1, 0]))


def amounts() -> st.SearchStrategy[int]:
    """Money: 0 and above."""
    return st.one_of(st.integers(0, 10_000_000), st.integers(0, INT64_MAX), st.just(INT64_MAX))


def instants() -> st.SearchStrategy[datetime]:
    """Any instant of the years 1 to 9999, in UTC; half of them on a full second."""
    any_instant = st.datetimes(timezones=st.just(UTC))
    edges = [
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(2000, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
    ]
    full_seconds = any_instant.map(lambda moment: moment.replace(microsecond=0))
    return st.one_of(any_instant, full_seconds, st.sampled_from(edges))


def deliveries() -> st.SearchStrategy[Delivery]:
    """Any valid delivery."""
    return _of(
        Delivery,
        name=texts(),
        phone=phones(),
        zip=texts(),
        city=texts(),
        address=texts(),
        region=texts(),
        email=texts(),
    )


def payments() -> st.SearchStrategy[Payment]:
    """Any valid payment."""
    return _of(
        Payment,
        transaction=texts(),
        request_id=texts(),
        currency=texts(),
        provider=texts(),
        amount=amounts(),
        payment_dt=int64s(),
        bank=texts(),
        delivery_cost=amounts(),
        goods_total=amounts(),
        custom_fee=amounts(),
    )


def items() -> st.SearchStrategy[Item]:
    """Any valid item."""
    return _of(
        Item,
        chrt_id=int64s(),
        track_number=texts(),
        price=amounts(),
        rid=texts(),
        name=texts(),
        sale=int64s(),
        size=texts(),
        total_price=amounts(),
        nm_id=int64s(),
        brand=texts(),
        status=int64s(),
    )


def orders(
    order_uids: st.SearchStrategy[str] | None = None, max_items: int = 3
) -> st.SearchStrategy[Order]:
    """Any valid order; items may be none, and some equal."""
    lists = st.lists(items(), max_size=max_items)
    doubled = lists.map(lambda found: [*found, *found])
    return _of(
        Order,
        order_uid=order_uids or identifiers(),
        track_number=identifiers(),
        entry=texts(),
        delivery=deliveries(),
        payment=payments(),
        items=st.one_of(lists, lists, doubled).map(tuple),
        locale=texts(),
        internal_signature=texts(),
        customer_id=identifiers(),
        delivery_service=texts(),
        shardkey=texts(),
        sm_id=int64s(),
        date_created=instants(),
        oof_shard=texts(),
    )


def batches(max_size: int = 6) -> st.SearchStrategy[list[Order]]:
    """Valid orders, each order_uid once."""
    return st.lists(orders(), max_size=max_size, unique_by=lambda order: order.order_uid)


@st.composite
def documents(draw: st.DrawFn) -> tuple[Order, bytes]:
    """A valid order, and one of the many documents that a producer may write it as.

    Keys in any order, unknown ones among them, any spacing and escaping, empty texts left out or
    null, the instant with any offset.
    """
    order = draw(orders())
    document: dict[str, Any] = msgspec.json.decode(encode(order))
    document["date_created"] = draw(_written(order.date_created))
    loose = draw(_loosened(document))
    separators = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", "\r: ")]))
    text = json.dumps(
        loose,
        ensure_ascii=draw(st.booleans()),
        indent=draw(st.sampled_from([None, 2])),
        separators=separators,
    )
    return order, text.encode()


_REQUIRED_TEXTS = frozenset({"order_uid", "track_number", "customer_id", "date_created"})


@st.composite
def _loosened(
    draw: st.DrawFn, document: dict[str, Any], required: frozenset[str] = _REQUIRED_TEXTS
) -> dict[str, Any]:
    loose: dict[str, Any] = {}
    if draw(st.booleans()):
        loose["not a field of ours"] = draw(st.sampled_from([None, 1.5, "x", {"status": []}]))
    for name in draw(st.permutations(list(document))):
        value = document[name]
        if value == "" and name not in required:
            value = draw(st.sampled_from(["", None, ...]))
        elif isinstance(value, dict):
            value = draw(_loosened(value, frozenset()))
        elif isinstance(value, list):
            value = [draw(_loosened(item, frozenset())) for item in value]
        if value is not ...:
            loose[name] = value
    return loose


@st.composite
def _written(draw: st.DrawFn, moment: datetime) -> str:
    zone = timezone(timedelta(minutes=draw(st.integers(-23 * 60 - 59, 23 * 60 + 59))))
    try:
        return moment.astimezone(zone).isoformat()
    except OverflowError:  # there it is another year than 1 to 9999
        return moment.isoformat()


def _of(kind: type[S], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[S]:
    """Any ``kind``. ``st.builds`` would make up a field that is left out, by its type alone."""
    assert not (left_out := set(kind.__struct_fields__) - fields.keys()), left_out
    return st.builds(kind, **fields)


def _is_identifier(text: str) -> bool:
    return bool(text.strip())


def _not_zero_first(text: str) -> bool:
    return not text.startswith("0")


def _any_of(values: list[str]) -> st.SearchStrategy[str]:
    return st.sampled_from(values) if values else st.nothing()
