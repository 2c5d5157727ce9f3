"""Connections: their turns while others begin many requests, and what they leave behind."""

import asyncio
import gc
import socket
import tracemalloc
import weakref
from contextlib import ExitStack
from functools import partial
from typing import Any, cast
from unittest.mock import Mock

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st
from litestar.datastructures import Headers
from prometheus_client import generate_latest
from uvicorn.config import Config
from uvicorn.server import ServerState

from orders.entrypoints.http import server
from orders.entrypoints.http.connection import Bounds, Connection, PacedTransport, Totals
from orders.entrypoints.http.request_turns import MOST_IN_A_TURN, MOST_READS, RequestTurns
from orders.entrypoints.http.responses import RawResponse
from orders.entrypoints.http.server import ACCEPTED_AT_ONCE
from tests.waiting import most_in_a_turn, settle, until

GET = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"
BOUNDS = Bounds(
    idle_timeout=60,
    reader_timeout=60,
    max_connections=1000,
    most_held=1_000_000,
    most_request_bytes=1_000_000,
)
POST = b"POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n"


def new_transport() -> Mock:
    transport = Mock()
    transport.is_closing.return_value = False
    transport.close = partial(setattr, transport.is_closing, "return_value", True)
    transport.get_write_buffer_size.return_value = 0
    transport.get_extra_info.return_value = None
    return transport


class Setting:
    """Connections of one process, its application, and how many requests have begun."""

    def __init__(self, *, is_cached: bool = False, reads_bodies: bool = False) -> None:
        self.begun = 0
        self.status, self.body = 200, b""
        self._is_cached = is_cached
        self._reads_bodies = reads_bodies
        self.turns = RequestTurns()
        self.totals = Totals()
        self._config = Config(self, interface="asgi3", log_config=None, proxy_headers=False)
        self._config.load()
        self._state = ServerState()

    def respond(self, scope: Any) -> RawResponse | None:
        if not self._is_cached:
            return None
        self.begun += 1
        return RawResponse(self.status, (), self.body)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        while self._reads_bodies and (await receive()).get("more_body"):
            pass
        self.begun += 1
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def connect(self) -> Connection:
        transport = new_transport()
        connection = Connection(
            self._config, self._state, {}, bounds=BOUNDS, totals=self.totals, turns=self.turns
        )
        connection.connection_made(transport)
        return connection

    def fill_the_turn(self) -> None:
        for _ in range(MOST_IN_A_TURN):
            self.connect().data_received(GET)


async def test_who_waits_for_its_turn_is_not_taken_for_a_client_that_does_nothing() -> None:
    setting = Setting()
    setting.fill_the_turn()
    connection = setting.connect()
    connection.data_received(GET)
    assert setting.totals.held == len(GET)
    for _ in range(3):
        connection.check()
    assert connection.seconds_stalled == 0
    assert setting.totals.held == len(GET)
    await settle()
    assert setting.begun == MOST_IN_A_TURN + 1
    assert setting.totals.held == 0


@pytest.mark.parametrize(
    ("held", "answer"),
    [(BOUNDS.most_held + 1, b"HTTP/1.1 200 "), (2 * BOUNDS.most_held + 1, b"HTTP/1.1 503 ")],
)
async def test_long_responses_are_refused_when_twice_as_much_waits_as_has_clients_cut_off(
    held: int, answer: bytes
) -> None:
    setting = Setting(is_cached=True)
    setting.body = bytes(100_000)
    setting.totals.held = held
    connection = setting.connect()
    connection.data_received(GET)
    assert cast("Mock", connection.transports[0].write).call_args_list[0].args[0].startswith(answer)
    if answer.endswith(b" 503 "):
        assert b'method="other",route="unknown",status="503"' in generate_latest()


async def test_an_upload_does_not_choose_to_hold_what_waits_for_its_turn() -> None:
    """So it is not the first to be cut off where others hold too much."""
    setting = Setting(reads_bodies=True)
    upload, another = setting.connect(), setting.connect()
    upload.data_received(b"POST / HTTP/1.1\r\ncontent-length: 10000\r\n\r\n")
    setting.fill_the_turn()
    upload.data_received(b"a" * 5_000)
    another.data_received(GET)
    assert (upload.held, upload.held_by_choice) == (5_000, 0)
    assert another.held == another.held_by_choice == len(GET)


async def test_who_waits_for_a_turn_is_less_to_blame_than_who_was_sent_much() -> None:
    setting = Setting(is_cached=True)
    setting.body = bytes(100_000)
    reader, another = setting.connect(), setting.connect()
    cast("Mock", reader.transports[0].get_write_buffer_size).return_value = 100_000
    reader.data_received(GET)
    setting.fill_the_turn()
    another.data_received(GET)
    assert reader.blame > another.blame


async def test_who_leaves_before_its_turn_holds_nothing() -> None:
    setting = Setting()
    setting.fill_the_turn()
    connection = setting.connect()
    connection.data_received(GET)
    connection.connection_lost(None)
    await settle()
    assert setting.begun == MOST_IN_A_TURN
    assert setting.totals.held == setting.totals.request_bytes == 0


@pytest.mark.parametrize("requests", [1, 5])
async def test_no_more_begin_in_a_turn_also_of_those_that_wait_for_others(requests: int) -> None:
    setting = Setting()
    for _ in range(3 * MOST_IN_A_TURN):
        setting.connect().data_received(GET * requests)
    assert await most_in_a_turn(lambda: setting.begun) <= MOST_IN_A_TURN
    assert setting.begun == 3 * MOST_IN_A_TURN * requests


async def test_reads_of_cached_orders_leave_the_event_loop_to_others_as_well() -> None:
    setting = Setting(is_cached=True)
    connections = 2 * MOST_READS // 10
    for _ in range(connections):
        setting.connect().data_received(GET * 10)
    assert await most_in_a_turn(lambda: setting.begun) < MOST_READS + 10
    assert setting.begun == connections * 10


async def test_reads_of_large_cached_orders_count_by_their_size() -> None:
    setting = Setting(is_cached=True)
    setting.body = bytes(1_000_000)
    for _ in range(20):
        setting.connect().data_received(GET)
    assert await most_in_a_turn(lambda: setting.begun) == 2
    assert setting.begun == 20


@pytest.mark.parametrize("is_cached", [False, True])
@pytest.mark.parametrize(
    "request_",
    [
        GET.replace(b"/ ", b"/?order=" + b"%f0" * 4_000 + b" "),
        GET[:-2] + b"if-none-match: " + b'"",' * 4_000 + b"\r\n\r\n",
    ],
)
async def test_requests_with_long_heads_count_by_their_length(
    request_: bytes, *, is_cached: bool
) -> None:
    setting = Setting(is_cached=is_cached)
    for _ in range(10):
        setting.connect().data_received(request_ * 2)
    assert await most_in_a_turn(lambda: setting.begun) <= 2
    assert setting.begun == 20


async def test_error_pages_count_as_other_requests_do() -> None:
    setting = Setting(is_cached=True)
    setting.status, setting.body = 404, bytes(5_000)
    for _ in range(100):
        setting.connect().data_received(GET)
    assert await most_in_a_turn(lambda: setting.begun) < MOST_IN_A_TURN
    assert setting.begun == 100


async def test_small_parts_of_a_body_leave_the_event_loop_to_others_as_well() -> None:
    setting = Setting(reads_bodies=True)
    parts = 160 * MOST_READS
    setting.connect().data_received(POST + b"1\r\na\r\n" * parts + b"0\r\n\r\n" + GET)
    turns = 0
    while setting.begun < 2:
        turns += 1
        assert turns < 1000
        await asyncio.sleep(0)
    assert turns > 15


class Decoding(Setting):
    """An application that decodes the headers, as Litestar does, and sends no response."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = Headers(scope["headers"])
        await asyncio.Event().wait()
        del headers


@pytest.mark.parametrize("is_behind_another", [False, True])
@pytest.mark.parametrize(
    ("query", "headers"),
    [(0, b"ab%d: " + b"a" * 310), (0, b"ab%d: a"), (20_000, b"ab%d: a")],
    ids=["long headers", "short headers", "long query"],
)
async def test_a_request_counts_as_the_memory_that_it_takes(
    query: int, headers: bytes, *, is_behind_another: bool
) -> None:
    """Else those without a key could take twice the memory that all of them may have."""
    setting = Decoding()
    connections = [setting.connect() for _ in range(8)]
    for connection in connections if is_behind_another else ():
        connection.data_received(POST + b"0\r\n\r\n")
    await settle()
    counted = setting.totals.held + setting.totals.request_bytes
    tracemalloc.start()
    try:
        for connection in connections:
            lines = b"".join(headers % number + b"\r\n" for number in range(96))
            connection.data_received(b"GET /?%s HTTP/1.1\r\n%s\r\n" % (b"a" * query, lines))
            del lines
        await settle()
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    counted = setting.totals.held + setting.totals.request_bytes - counted
    assert taken < 1.2 * counted
    assert counted < 2.5 * taken


async def test_no_more_is_read_while_something_waits_for_its_turn() -> None:
    """The application asks for more of a body with each part that it gets."""
    setting = Setting(reads_bodies=True)
    connection = setting.connect()
    connection.data_received(POST + b"1\r\na\r\n" * 160 * MOST_READS)
    for _ in range(20):
        assert connection.flow.read_paused
        await asyncio.sleep(0)
    connection.connection_lost(None)


@pytest.mark.parametrize(
    ("framing", "most", "last"),
    [
        (b"content-length: 2", b"{", b"}"),
        (b"transfer-encoding: chunked", b"2\r\n{}\r\n", b"0\r\n\r\n"),
    ],
)
async def test_bodies_that_end_at_once_leave_the_event_loop_to_others_as_well(
    framing: bytes, most: bytes, last: bytes
) -> None:
    """Only then begins the work: checking a document may take longer than all before."""
    setting = Setting(reads_bodies=True)
    connections = [setting.connect() for _ in range(3 * MOST_IN_A_TURN)]
    for connection in connections:
        connection.data_received(b"POST / HTTP/1.1\r\n%s\r\n\r\n%s" % (framing, most))
    await settle()
    assert setting.begun == 0
    for connection in connections:
        connection.data_received(last)
    assert await most_in_a_turn(lambda: setting.begun) <= MOST_IN_A_TURN
    assert setting.begun == 3 * MOST_IN_A_TURN


async def test_a_body_that_nobody_reads_may_not_have_many_small_parts() -> None:
    """Without a key, and without end, it would take as much of the process as an upload."""
    setting = Setting()
    connection = setting.connect()
    connection.data_received(POST)
    await settle()
    for _ in range(300):
        connection.data_received(b"1000\r\n" + b"a" * 0x1000 + b"\r\n")  # as of an upload
        await settle()
    assert not connection.transport.is_closing()
    connection.data_received(b"1\r\na\r\n" * 2000)
    await settle()
    assert connection.transport.is_closing()
    assert setting.begun == 1
    connection.connection_lost(None)
    assert setting.totals.held == 0


async def test_refusals_leave_the_event_loop_to_others_as_well() -> None:
    setting = Setting()
    connections = [setting.connect() for _ in range(3 * MOST_IN_A_TURN)]
    for connection in connections:
        connection.data_received(b"no HTTP\r\n\r\n")

    def refused() -> int:
        return sum(connection.transport.is_closing() for connection in connections)

    assert await most_in_a_turn(refused) <= MOST_IN_A_TURN
    assert refused() == 3 * MOST_IN_A_TURN


async def test_an_upload_is_not_as_late_as_a_form_that_is_held_back() -> None:
    """The latest are disconnected where requests take too much memory."""
    setting = Setting(reads_bodies=True)
    upload, form = setting.connect(), setting.connect()
    upload.data_received(POST)
    for _ in range(10):
        upload.data_received(b"20000\r\n" + b"a" * 0x20000 + b"\r\n")
        await settle()
        upload.check()
    form.data_received(POST + b"3f00\r\n" + b"a" * 0x3F00 + b"\r\n")
    await settle()
    form.check()
    assert form.cycle.more_body
    assert upload.cycle.more_body
    assert form.seconds_late > upload.seconds_late


async def test_slow_bodies_are_cut_off_first_then_large_requests_that_have_arrived() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        await asyncio.Event().wait()

    serving = server._Server(app, bounds=BOUNDS, grace=1, tls=None)

    async def begin(length: int, body: bytes) -> tuple[Connection, Mock]:
        create = serving.config.http_protocol_class
        connection = cast("Any", create)(serving.config, serving.server_state, {})
        connection.connection_made(transport := new_transport())
        connection.data_received(b"POST / HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % length)
        await settle()
        connection.data_received(body)
        await settle()
        return connection, transport

    _, small = await begin(1, b"a")
    _, large = await begin(60_000, b"a" * 60_000)
    upload, uploads = await begin(10_000_000, b"a" * 70_000)
    serving._bounds = BOUNDS._replace(most_request_bytes=100_000)
    serving._abort_slowest()
    assert [each.abort.called for each in (small, large, uploads)] == [False, True, False]
    for _ in range(10):
        upload.check()
    serving._bounds = BOUNDS._replace(most_request_bytes=50_000)
    serving._abort_slowest()
    assert [each.abort.called for each in (small, uploads)] == [False, True]
    for task in serving.server_state.tasks:
        task.cancel()


def test_connections_that_come_together_are_accepted_some_in_a_turn() -> None:
    """By one in a turn, as uvloop does, slow requests of others keep new clients out."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for event in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{event}.complete"})

    async def most_accepted() -> int:
        serving = server._Server(app, bounds=BOUNDS, grace=1, tls=None)
        with socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as clients:
            end = asyncio.create_task(serving._serve([listener]))
            await until(lambda: serving.started)
            for _ in range(5 * ACCEPTED_AT_ONCE):
                clients.enter_context(socket.create_connection(listener.getsockname()))
            connections = serving.server_state.connections
            most = await most_in_a_turn(lambda: len(connections))
            await until(lambda: len(connections) == 5 * ACCEPTED_AT_ONCE)
            serving.should_exit = True
            await end
        return most

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(most_accepted()) == ACCEPTED_AT_ONCE


async def test_headers_in_many_pieces_leave_the_event_loop_to_others_as_well() -> None:
    """TLS may bring hundreds of them in one read."""
    connection = Setting().connect()
    connection.data_received(b"GET /")
    for _ in range(MOST_READS):
        assert not connection.flow.read_paused
        connection.data_received(b"a")
    assert connection.flow.read_paused


@pytest.mark.parametrize(
    "head", [b"GET / HTTP/1.1\r\n", GET[:-2] + b"transfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"]
)
async def test_no_more_headers_are_taken_than_a_request_may_have(head: bytes) -> None:
    """The client decides how long the connection stays: it reads the response when it likes."""
    connection = Setting().connect()
    connection.data_received(head + b"ab:\r\n" * 30_000)
    assert connection.transport.is_closing()
    assert len(connection.headers) <= 101


@pytest.mark.parametrize(
    "request_", [b"GET /" + b"a" * 40_000, b"GET / HTTP/1.1\r\n" + b"ab:\r\n" * 200]
)
async def test_a_connection_that_was_refused_is_freed_at_once(request_: bytes) -> None:
    """Thousands would wait for the garbage collector, with the buffers of TLS."""
    connection = Setting().connect()
    connection.data_received(request_)
    assert connection.transport.is_closing()
    connection.connection_lost(None)
    await settle()
    reference = weakref.ref(connection)
    gc.disable()
    try:
        del connection
        assert reference() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("request_", [b"nonsense\r\n", GET + b"nonsense\r\n"])
async def test_what_follows_a_refusal_is_not_held(request_: bytes) -> None:
    """Hundreds of such clients would have honest ones refused."""
    setting = Setting()
    connection = setting.connect()
    connection.data_received(request_)
    for _ in range(10):
        connection.data_received(b"a" * 30_000)
        connection.check()
    assert setting.totals.held < 30_000


async def test_what_follows_the_last_request_is_not_answered() -> None:
    connection = Setting(is_cached=True).connect()
    connection.data_received(b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n" + GET)
    cast("Mock", connection.transports[0].write).assert_called_once()


class SlowTransport:
    """Takes one write, then asks to wait."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.is_closed = False
        self.paced = PacedTransport(cast("Any", self), lambda: None)

    def write(self, data: bytes) -> None:
        assert not self.is_closed
        self.taken.append(data)
        self.paced.is_paused = True

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed


@given(
    sizes=st.lists(st.sampled_from([1, 1_000, 65_536, 65_537, 200_000])),
    closes_early=st.booleans(),
)
def test_a_slow_reader_is_given_all_bit_by_bit(sizes: list[int], *, closes_early: bool) -> None:
    slow, written = SlowTransport(), b""
    for number, size in enumerate(sizes):
        data = bytes([number % 256]) * size
        slow.paced.write(data)
        written += data
    if closes_early:
        slow.paced.close()
        slow.paced.write(b"too late")
    while slow.paced.is_paused and not slow.is_closed:
        assert slow.paced.size == len(written) - sum(map(len, slow.taken))
        slow.paced.go_on()
    assert b"".join(slow.taken) == written
    assert max(map(len, slow.taken), default=0) <= 65_536
    assert slow.paced.size == 0
    assert slow.is_closed == closes_early
