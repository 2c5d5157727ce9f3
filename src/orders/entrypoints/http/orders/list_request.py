"""Parses the query of GET /orders: filters, page size and cursor."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlencode

import msgspec
from msgspec import Meta, Struct

from orders.domain.order.document import in_utc
from orders.domain.order.queries import Cursor, OrderQuery, View
from orders.domain.order.rules import Instant
from orders.entrypoints.http.orders import cursor
from orders.entrypoints.http.orders.query_parameters import query_pairs, query_values

LIMIT_MAX = 1000
PAGE_SIZE = 100
"""Orders in a page if there is a cursor but no limit."""


class ListParameters(Struct, frozen=True):
    """The query parameters, for the documents."""

    order_uid: Annotated[str, Meta(description="Only the order with exactly this order_uid.")]
    customer_id: Annotated[str, Meta(description="Only orders of this customer.")]
    track_number: Annotated[str, Meta(description="Only orders with this track_number.")]
    created_from: Annotated[
        datetime, Meta(tz=True, description="Only orders created at this instant or later.")
    ]
    created_to: Annotated[datetime, Meta(tz=True, description="Only orders created before this.")]
    view: Annotated[
        Literal["full", "summary"],
        Meta(
            description="The form of the orders: `full`, as they were sent (the default), or "
            "`summary`: OrderSummary, the few fields that a list shows."
        ),
    ]
    limit: Annotated[
        int,
        Meta(
            ge=1,
            le=LIMIT_MAX,
            description="One page of so many orders, or fewer where they are large; the Link "
            "header leads to the next. Without it (and without a cursor) the answer is all orders.",
        ),
    ]
    cursor: Annotated[
        str,
        Meta(
            description="Where the page begins; opaque, taken from the Link header of the page "
            f"before. The page has {PAGE_SIZE} orders where there is no limit.",
            extra_json_schema={"format": "orders-cursor"},
        ),
    ]


class ListRequest(Struct, frozen=True):
    """A valid request. Without ``limit`` all orders are requested, and ``after`` is None."""

    query: OrderQuery
    limit: int | None
    after: Cursor | None
    pairs: tuple[tuple[str, str], ...]

    def next_link(self, after: Cursor) -> bytes:
        """Return the Link header of the next page, which has the same filters and size."""
        unchanged = [pair for pair in self.pairs if pair[0] != "cursor"]
        query = urlencode([*unchanged, ("cursor", cursor.to_text(after))], quote_via=quote)
        return f'</orders?{query}>; rel="next"'.encode()


def parse(query_string: bytes) -> ListRequest:
    """Parse the query of a URL.

    An empty value is a value: ``order_uid=`` selects the order with an empty uid, which cannot
    exist. An unknown parameter is refused, since ignoring a misspelt filter would return orders
    that were not asked for.

    Raises:
        HTTPProblem: with every parameter that is unknown, repeated or not valid.
    """
    pairs = query_pairs(query_string)
    values = query_values(pairs, _READERS)
    after = values.pop("cursor", None)
    limit = values.pop("limit", PAGE_SIZE if after else None)
    return ListRequest(OrderQuery(**values), limit, after, tuple(pairs))


def _text(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not hold U+0000")
    return text


def _instant(text: str) -> datetime:
    """Parse an instant; the ``+`` of its offset arrives as a space if it was not encoded."""
    if len(text) > _LONGEST_INSTANT:  # the pattern would take seconds
        raise ValueError(_NO_INSTANT)
    try:
        moment: datetime = msgspec.convert(_UNENCODED_PLUS.sub(r"\1+\2", text), Instant)
        return in_utc(moment)
    except (msgspec.ValidationError, OverflowError):
        raise ValueError(_NO_INSTANT) from None


def _view(text: str) -> View:
    try:
        return View(text)
    except ValueError:
        raise ValueError(f"must be {' or '.join(View)}") from None


def _limit(text: str) -> int:
    if not _LIMIT.fullmatch(text) or int(text) > LIMIT_MAX:
        raise ValueError(f"must be a number from 1 to {LIMIT_MAX}")
    return int(text)


def _cursor(text: str) -> Cursor:
    try:
        return cursor.from_text(text)
    except ValueError:
        raise ValueError("must be a cursor from a Link header") from None


_NO_INSTANT = "must be RFC 3339 with an offset, in the years 1 to 9999"
_LONGEST_INSTANT = 64
_UNENCODED_PLUS = re.compile(r"^(.*:.*) (\d\d:\d\d)$", re.ASCII)
_LIMIT = re.compile(r"[1-9][0-9]{0,3}")
_READERS: dict[str, Callable[[str], Any]] = {
    "order_uid": _text,
    "customer_id": _text,
    "track_number": _text,
    "created_from": _instant,
    "created_to": _instant,
    "view": _view,
    "limit": _limit,
    "cursor": _cursor,
}
