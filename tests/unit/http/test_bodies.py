"""Bounds of the bodies that are read at a time, and clients that leave."""

import asyncio
import threading
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

import pytest

from orders.config import Settings
from orders.domain.intake import reading
from orders.domain.intake.reading import Reading
from orders.domain.order.document import encode
from orders.domain.use_cases import publish_orders
from orders.entrypoints.http import bodies
from orders.entrypoints.http.bodies import RequestBodies
from orders.entrypoints.http.problems import HTTPProblem
from tests.unit.http.harness import Api, order, problem
from tests.waiting import settle


async def test_bodies_beyond_the_memory_for_all_are_refused_until_there_is_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bodies, "BODIES_IN_MEMORY", 3)
    monkeypatch.setattr(bodies, "SMALL_BYTES", 50)
    api = Api(settings=Settings(http_max_body=1_000))
    first_arrived, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b" " * 1_000
        first_arrived.set()
        await go_on.wait()

    async with api.client() as client:
        first = asyncio.create_task(client.post("/orders", content=slow()))
        await first_arrived.wait()
        refused = await client.post("/orders", content=b" " * 601)
        problem(refused, 503, "overloaded")
        assert refused.headers["retry-after"] == "5"
        for small in (500, 50):
            problem(await client.post("/orders", content=b" " * small), 422, "invalid")
        go_on.set()
        problem(await first, 422, "invalid")
        problem(await client.post("/orders", content=b" " * 600), 422, "invalid")


async def test_a_client_leaves_room_for_large_bodies_of_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bodies, "SMALL_BYTES", 0)
    read = RequestBodies(1_000, timeout=60).read

    def from_(address: str, size: int) -> AbstractAsyncContextManager[bytes]:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": bytes(size)}

        return read({"headers": [], "client": (address, 1)}, receive)

    async with from_("192.0.2.1", 1_000), from_("192.0.2.1", 1_000):
        with pytest.raises(HTTPProblem, match="too many large bodies"):
            async with from_("192.0.2.1", 1):
                pytest.fail("there is no room")
        async with from_("192.0.2.2", 1_000):
            pass
    async with from_("192.0.2.1", 1_000), from_("192.0.2.1", 1_000):
        pass


@pytest.mark.parametrize(
    ("length", "is_read"),
    [(b"0" * 5_000 + b"5", True), (b"0" * 5_000, True), (b"9" * 5_000, False), (b"1001", False)],
)
async def test_the_length_may_have_any_number_of_digits(length: bytes, *, is_read: bool) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"12345"}

    scope = {"headers": [(b"content-length", length)], "client": ("192.0.2.1", 1)}
    found = b""
    with nullcontext() if is_read else pytest.raises(HTTPProblem, match="larger"):
        async with RequestBodies(1_000, timeout=60).read(scope, receive) as body:
            found = body
    assert found == (b"12345" if is_read else b"")


@pytest.mark.parametrize(
    ("message", "status"), [(None, 408), ({"type": "http.disconnect"}, 400)], ids=["slow", "gone"]
)
async def test_a_body_that_does_not_arrive(message: dict[str, str] | None, status: int) -> None:
    async def receive() -> dict[str, str]:
        if message is None:
            await asyncio.Event().wait()
        return message or {}

    with pytest.raises(HTTPProblem) as raised:
        async with RequestBodies(1_000, timeout=0).read({"headers": []}, receive):
            pytest.fail("there is no body")
    assert raised.value.problem_type.status == status


async def test_a_body_in_many_small_parts_takes_what_its_bytes_take() -> None:
    left = 50_000

    async def receive() -> dict[str, Any]:
        nonlocal left
        left -= 1
        return {"type": "http.request", "body": left.to_bytes(2), "more_body": left > 0}

    tracemalloc.start()
    try:
        async with RequestBodies(100_000, timeout=60).read({"headers": []}, receive) as body:
            assert len(body) == 100_000
        assert tracemalloc.get_traced_memory()[1] < 500_000
    finally:
        tracemalloc.stop()


async def test_large_documents_are_read_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    one = threading.Semaphore(1)
    at_once = []

    def counted(document: bytes, enough: int) -> Reading:
        at_once.append(one.acquire(blocking=False))
        try:
            return reading.read(document, enough)
        finally:
            one.release()

    monkeypatch.setattr(publish_orders, "read", counted)
    document = b"[" + b",".join(encode(order(f"o{i}")) for i in range(300)) + b"]"
    api = Api(settings=Settings())
    async with api.client() as client:
        answers = await asyncio.gather(
            *(client.post("/orders", content=document) for _ in range(6))
        )
    assert [answer.status_code for answer in answers] == [202] * 6
    assert at_once == [True] * 6


async def test_the_document_of_a_client_that_has_left_is_not_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started, go_on = threading.Event(), threading.Event()
    read = []

    def held(document: bytes, enough: int) -> Reading:
        read.append(document[-1:])
        started.set()
        go_on.wait(10)
        return reading.read(document, enough)

    monkeypatch.setattr(publish_orders, "read", held)
    app = Api(settings=Settings()).app()

    async def post(last: bytes, leaves: asyncio.Event) -> int:
        sent: list[dict[str, int]] = []
        body = [{"type": "http.request", "body": b" " * 70_000 + last, "more_body": False}]

        async def receive() -> dict[str, object]:
            if body:
                return body.pop()
            await leaves.wait()
            noticed.set()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, int]) -> None:
            sent.append(message)

        headers = [(b"host", b"test")]
        scope = {"type": "http", "method": "POST", "path": "/orders", "raw_path": b"/orders"}
        scope |= {"headers": headers, "query_string": b"", "scheme": "http", "root_path": ""}
        await app(scope, receive, send)
        return sent[0]["status"]

    stays, leaves, noticed = asyncio.Event(), asyncio.Event(), asyncio.Event()
    first = asyncio.create_task(post(b"1", stays))
    await asyncio.to_thread(started.wait, 10)
    leaves.set()
    second = asyncio.create_task(post(b"2", leaves))
    await noticed.wait()
    await settle()
    go_on.set()
    assert await second == 400
    await first
    assert read == [b"1"]
