"""The sync and the async client."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from orders.client.errors import unexpected
from orders.client.events import EventReader, OrderEvent
from orders.client.operations import Call, Operations, Pause, Steps, Stream, document_of, filters
from orders.domain.order.model import Order

T = TypeVar("T")
Document = Order | Mapping[str, Any]
"""An order, or the same as it would be in JSON."""

TIMEOUT = 10.0
ATTEMPTS = 5
CACHE_SIZE = 1_000
PAGE_SIZE = 100
_SILENCE = 45.0
"""Seconds without a byte after which a stream is taken for dead: the API sends one every 15 s."""
_RECONNECT = 1.0


class OrdersClient:
    """A client for the API; it can be used by several threads.

    Requests that fail because a server is down or there were too many (503, 429, no connection) are
    sent again after a pause, the one that the API asks for if it does. All of them may be sent
    twice: an order that arrives again is ignored.

    Close it, or use it as a context manager.

    Args:
        base_url: where the API is, such as ``http://127.0.0.1:8080``.
        key: a key or token, if the API needs one.
        timeout: seconds to wait for a connection, and for each part of a response.
        attempts: most times that a request is sent.
        cache_size: orders that are kept. They are asked for with their ETag, so that the API does
            not send them again.
        transport: what to send requests by, for tests and proxies; see httpx.

    Every method raises ``APIError``, or one of its kinds.
    """

    def __init__(
        self,
        base_url: str,
        *,
        key: str | None = None,
        timeout: float = TIMEOUT,
        attempts: int = ATTEMPTS,
        cache_size: int = CACHE_SIZE,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._http = httpx.Client(
            base_url=base_url, headers=_headers(key), timeout=timeout, transport=transport
        )
        self._operations = Operations(attempts, cache_size)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self._http.base_url)!r})"

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def get(self, order_uid: str) -> Order:
        """Return an order; raises NotFound."""
        return self._run(self._operations.get(order_uid))

    def list(
        self,
        *,
        customer_id: str | None = None,
        track_number: str | None = None,
        created_from: datetime | None = None,
        created_to: datetime | None = None,
        page_size: int = PAGE_SIZE,
    ) -> Iterator[Order]:
        """Return all orders, or those of these filters, newest first.

        They come page by page: there is never more than one in memory, and what arrives meanwhile
        does not shift them.

        Args:
            customer_id: only those of this customer.
            track_number: only those with this track number.
            created_from: only those created then or later.
            created_to: only those created before.
            page_size: orders in a request, up to 1,000.
        """
        query: Mapping[str, str] | None
        query = filters(customer_id, track_number, created_from, created_to, page_size)
        url = "/orders"
        while url:
            orders, url = self._run(self._operations.page(url, query))
            query = None  # the link to the next page has it
            yield from orders

    def events(self, after: str = "") -> Iterator[OrderEvent]:
        """Return what is stored and forgotten from now on, as it happens, without end.

        When a connection ends, it is opened again and nothing is missed. If that fails, or the API
        refuses it, the error is raised; ``after`` resumes later.

        Args:
            after: the id of an event to resume after.
        """
        reader = EventReader(after)
        while True:
            response = self._run(self._operations.open_events(reader.last_id))
            try:
                reader.begin(response)
                for chunk in response.iter_bytes():
                    yield from reader.feed(chunk)
            except httpx.DecodingError as error:
                raise unexpected() from error
            except httpx.RequestError:
                pass  # as if it had ended
            finally:
                response.close()
            time.sleep(_RECONNECT)

    def publish(
        self, orders: Document | Iterable[Document], *, request_id: str | None = None
    ) -> tuple[str, ...]:
        """Send one order or several, all or none, and return their order_uids.

        They are stored a moment later: see ``wait_until_stored``.

        Args:
            orders: one or several; how many is bounded by the largest body that the API takes.
            request_id: goes along in the log and in the headers of the messages.

        Raises:
            InvalidOrders: none was sent; it lists every fault of every order.
        """
        headers = {"x-request-id": request_id} if request_id else {}
        return self._run(self._operations.publish(document_of(orders), headers))

    def random(self, amount: int) -> tuple[Order, ...]:
        """Have so many random orders made and sent, and return them."""
        return self._run(self._operations.random(amount))

    def wait_until_stored(self, order_uid: str, timeout: float = 30.0) -> Order:
        """Return an order as soon as it is stored; raises NotStored after ``timeout`` seconds."""
        return self._run(self._operations.wait_until_stored(order_uid, timeout))

    def forget(self, order_uid: str) -> None:
        """Delete an order for good, wherever it is; needs a key with the scope of admins."""
        self._run(self._operations.forget(order_uid))

    def is_ready(self) -> bool:
        """Whether the API can serve orders now."""
        try:
            return self._http.get("/health/ready").is_success
        except httpx.RequestError:
            return False

    def _run(self, steps: Steps[T]) -> T:
        answer: httpx.Response | httpx.RequestError | None = None
        try:
            while True:
                step = steps.send(answer)
                if isinstance(step, Pause):
                    time.sleep(step.seconds)
                    answer = None
                    continue
                try:
                    request = _request(self._http, step)
                    answer = self._http.send(request, stream=isinstance(step, Stream))
                    if not answer.is_success:
                        answer.read()
                except httpx.RequestError as error:
                    answer = error
        except StopIteration as end:
            result: T = end.value
            return result


class AsyncOrdersClient:
    """The same for asyncio: see ``OrdersClient``."""

    def __init__(
        self,
        base_url: str,
        *,
        key: str | None = None,
        timeout: float = TIMEOUT,
        attempts: int = ATTEMPTS,
        cache_size: int = CACHE_SIZE,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._http = httpx.AsyncClient(
            base_url=base_url, headers=_headers(key), timeout=timeout, transport=transport
        )
        self._operations = Operations(attempts, cache_size)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self._http.base_url)!r})"

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def get(self, order_uid: str) -> Order:
        """See ``OrdersClient.get``."""
        return await self._run(self._operations.get(order_uid))

    async def list(
        self,
        *,
        customer_id: str | None = None,
        track_number: str | None = None,
        created_from: datetime | None = None,
        created_to: datetime | None = None,
        page_size: int = PAGE_SIZE,
    ) -> AsyncIterator[Order]:
        """See ``OrdersClient.list``."""
        query: Mapping[str, str] | None
        query = filters(customer_id, track_number, created_from, created_to, page_size)
        url = "/orders"
        while url:
            orders, url = await self._run(self._operations.page(url, query))
            query = None
            for order in orders:
                yield order

    async def events(self, after: str = "") -> AsyncIterator[OrderEvent]:
        """See ``OrdersClient.events``."""
        reader = EventReader(after)
        while True:
            response = await self._run(self._operations.open_events(reader.last_id))
            try:
                reader.begin(response)
                async for chunk in response.aiter_bytes():
                    for event in reader.feed(chunk):
                        yield event
            except httpx.DecodingError as error:
                raise unexpected() from error
            except httpx.RequestError:
                pass
            finally:
                await response.aclose()
            await asyncio.sleep(_RECONNECT)

    async def publish(
        self, orders: Document | Iterable[Document], *, request_id: str | None = None
    ) -> tuple[str, ...]:
        """See ``OrdersClient.publish``."""
        headers = {"x-request-id": request_id} if request_id else {}
        return await self._run(self._operations.publish(document_of(orders), headers))

    async def random(self, amount: int) -> tuple[Order, ...]:
        """See ``OrdersClient.random``."""
        return await self._run(self._operations.random(amount))

    async def wait_until_stored(self, order_uid: str, timeout: float = 30.0) -> Order:  # noqa: ASYNC109
        """See ``OrdersClient.wait_until_stored``."""
        return await self._run(self._operations.wait_until_stored(order_uid, timeout))

    async def forget(self, order_uid: str) -> None:
        """See ``OrdersClient.forget``."""
        await self._run(self._operations.forget(order_uid))

    async def is_ready(self) -> bool:
        """See ``OrdersClient.is_ready``."""
        try:
            return (await self._http.get("/health/ready")).is_success
        except httpx.RequestError:
            return False

    async def _run(self, steps: Steps[T]) -> T:
        answer: httpx.Response | httpx.RequestError | None = None
        try:
            while True:
                step = steps.send(answer)
                if isinstance(step, Pause):
                    await asyncio.sleep(step.seconds)
                    answer = None
                    continue
                try:
                    request = _request(self._http, step)
                    answer = await self._http.send(request, stream=isinstance(step, Stream))
                    if not answer.is_success:
                        await answer.aread()
                except httpx.RequestError as error:
                    answer = error
        except StopIteration as end:
            result: T = end.value
            return result


def _request(http: httpx.Client | httpx.AsyncClient, call: Call) -> httpx.Request:
    request = http.build_request(**call._asdict())
    if isinstance(call, Stream):
        request.extensions["timeout"]["read"] = _SILENCE
    return request


def _headers(key: str | None) -> dict[str, str]:
    if not key:
        return {}
    if not (key.isascii() and key.isprintable()):  # an error of httpx would show it
        raise ValueError("the key has characters that no key has")
    return {"authorization": f"Bearer {key}"}
