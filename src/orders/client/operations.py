"""What the client does, without input or output of its own.

Each operation is a generator: it yields requests and pauses, is sent the responses, and returns
its result. So the sync and the async client share all of it and only send and wait, as the flows
for authentication of httpx do.
"""

import random
import threading
import time
from collections import OrderedDict
from collections.abc import Generator, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from orders.client.errors import (
    UNDECODABLE,
    APIError,
    NotFound,
    NotStored,
    Unavailable,
    error_of,
    unexpected,
)
from orders.domain.order.model import Order

T = TypeVar("T")


class Call(NamedTuple):
    """A request to send, by the names of the arguments of httpx.

    An error of httpx is sent back in place of a response.
    """

    method: str
    url: str
    params: Mapping[str, str] | None = None  # an empty one would remove those of ``url``
    headers: Mapping[str, str] | None = None
    content: bytes | None = None


class Stream(Call):
    """A request whose response is sent back unread, if it is a success."""


class _Published(msgspec.Struct):
    order_uids: tuple[str, ...]


class Pause(NamedTuple):
    """Seconds to wait."""

    seconds: float


Answer: TypeAlias = httpx.Response | httpx.RequestError | None
Steps: TypeAlias = Generator[Call | Pause, Answer, T]

_NOT_MODIFIED = 304
_REPEATED = frozenset({429, 503})
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 5.0
_LONGEST_RETRY_AFTER = 60.0
_POLL_SECONDS = 0.02, 1.0
_UNADDRESSABLE = frozenset({"", ".", "..", "events"})
"""Uids without a path of their own.

Clients and proxies remove empty segments and dots from a path, encoded or not, and
``/orders/events`` is the stream of events.
"""

_order = msgspec.json.Decoder(Order)
_orders = msgspec.json.Decoder(tuple[Order, ...])
_published = msgspec.json.Decoder(_Published)


class Operations:
    """All that a client can do.

    Args:
        attempts: most times that a request is sent.
        cache_size: orders that are kept with their ETags.
    """

    def __init__(self, attempts: int, cache_size: int) -> None:
        self._attempts = attempts
        self._cache_size = cache_size
        self._cache: OrderedDict[str, tuple[str, Order]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, order_uid: str) -> Steps[Order]:
        """Return an order; see ``OrdersClient.get``."""
        if order_uid in _UNADDRESSABLE:
            found, _ = yield from self.page("/orders", {"order_uid": order_uid, "limit": "1"})
            if not found:
                raise NotFound("there is no such order", status=404, code="not-found")
            return found[0]
        with self._lock:
            tag, cached = self._cache.get(order_uid, ("", None))
        headers = {"if-none-match": tag} if tag else {}
        response = yield from self._send(Call("GET", _path(order_uid), headers=headers))
        is_known = response.status_code == _NOT_MODIFIED and cached is not None
        order = cached if is_known else _decoded(_order, response)
        assert order is not None, "it is known"
        with self._lock:
            self._cache[order_uid] = tag if is_known else response.headers.get("etag", ""), order
            self._cache.move_to_end(order_uid)
            while len(self._cache) > self._cache_size:
                self._cache.popitem(last=False)
        return order

    def page(
        self, url: str, parameters: Mapping[str, str] | None
    ) -> Steps[tuple[tuple[Order, ...], str]]:
        """Return a page of orders and the URL of the next one, empty if there is none."""
        response = yield from self._send(Call("GET", url, parameters))
        # Of the link only the query: a key is sent to no other host.
        query = response.links.get("next", {}).get("url", "").partition("?")[2]
        following = f"/orders?{query}" if query else ""
        return _decoded(_orders, response), following

    def publish(self, document: bytes, headers: Mapping[str, str]) -> Steps[tuple[str, ...]]:
        """Publish a document; see ``OrdersClient.publish``."""
        response = yield from self._send(Call("POST", "/orders", None, headers, document))
        return _decoded(_published, response).order_uids

    def random(self, amount: int) -> Steps[tuple[Order, ...]]:
        """Return new orders; see ``OrdersClient.random``."""
        # Sent once: each time there would be others.
        response = yield from self._send(Call("POST", f"/random/{amount}"), attempts=1)
        return _decoded(_orders, response)

    def open_events(self, after: str) -> Steps[httpx.Response]:
        """Return a response with events; see ``OrdersClient.events``."""
        parameters = {"last_event_id": after} if after else None
        return (yield from self._send(Stream("GET", "/orders/events", parameters)))

    def wait_until_stored(self, order_uid: str, timeout: float) -> Steps[Order]:
        """Return an order once it is stored; see ``OrdersClient.wait_until_stored``."""
        pause, longest = _POLL_SECONDS
        deadline = time.monotonic() + timeout
        while True:
            try:
                return (yield from self.get(order_uid))
            except NotFound as error:
                left = deadline - time.monotonic()
                if left <= 0:
                    detail = f"not stored within {timeout:g} s"
                    request_id = error.request_id
                    raise NotStored(detail, code="not-stored", request_id=request_id) from None
            yield Pause(min(pause, left))
            pause = min(2 * pause, longest)

    def forget(self, order_uid: str) -> Steps[None]:
        """Delete an order; see ``OrdersClient.forget``."""
        if order_uid in _UNADDRESSABLE:
            raise ValueError("this order has no path of its own: use the command `orders forget`")
        yield from self._send(Call("DELETE", _path(order_uid)))
        with self._lock:
            self._cache.pop(order_uid, None)

    def _send(self, call: Call, attempts: int | None = None) -> Steps[httpx.Response]:
        """Send a request, again if that may help: whatever is sent here may be sent twice."""
        left = attempts or self._attempts
        pause = _FIRST_PAUSE
        while True:
            left -= 1
            answer = yield call
            if isinstance(answer, httpx.Response):
                if answer.is_success or answer.status_code == _NOT_MODIFIED:
                    return answer
                error: APIError = error_of(answer)
                wait = _retry_after(answer)
                may_repeat = answer.status_code in _REPEATED
            elif isinstance(answer, httpx.DecodingError):  # its content-encoding is broken
                raise unexpected() from answer
            else:
                reason = type(answer).__name__
                error = Unavailable(f"the API cannot be reached: {reason}", code="unreachable")
                error.__cause__ = answer
                wait, may_repeat = None, True
            if not left or not may_repeat:
                raise error
            yield Pause(random.uniform(pause / 2, pause) if wait is None else wait)  # noqa: S311
            pause = min(2 * pause, _LONGEST_PAUSE)


def document_of(orders: Order | Mapping[str, Any] | Iterable[Order | Mapping[str, Any]]) -> bytes:
    """Return one order as an object, or several as an array."""
    if isinstance(orders, (Order, Mapping)):
        return msgspec.json.encode(orders)
    return msgspec.json.encode(list(orders))


def filters(
    customer_id: str | None,
    track_number: str | None,
    created_from: datetime | None,
    created_to: datetime | None,
    page_size: int,
) -> dict[str, str]:
    """Return the query of a list; raises ValueError for a time without a zone."""
    given: dict[str, str | None] = {"customer_id": customer_id, "track_number": track_number}
    for name, moment in (("created_from", created_from), ("created_to", created_to)):
        if moment is not None:
            if moment.tzinfo is None:
                raise ValueError(f"{name} needs a time zone")
            given[name] = moment.isoformat()
    chosen = {name: value for name, value in given.items() if value is not None}
    return chosen | {"limit": str(page_size)}


def _decoded(decoder: msgspec.json.Decoder[T], response: httpx.Response) -> T:
    try:
        return decoder.decode(response.content)
    except UNDECODABLE as error:
        raise unexpected(response.status_code) from error


def _path(order_uid: str) -> str:
    return f"/orders/{quote(order_uid, safe='')}"


def _retry_after(response: httpx.Response) -> float | None:
    given = response.headers.get("retry-after", "")
    return min(float(given), _LONGEST_RETRY_AFTER) if given.isdecimal() else None
