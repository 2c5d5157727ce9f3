"""What only a real server and a real socket show."""

import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import schemathesis
from hypothesis import given
from hypothesis import strategies as st
from schemathesis.specs.openapi.schemas import OpenApiSchema

from orders.config import Settings
from orders.domain.order.document import encode
from orders.domain.use_cases.list_orders import CHUNK, FIRST_CHUNK
from tests.integration.http.server_process import ServerProcess
from tests.integration.http.serving import LONG, MANY_PAGES, SECRET
from tests.integration.kafka.certificates import Authority
from tests.strategies import characters
from tests.unit.http.conformance import check, config, effort
from tests.unit.http.harness import problem, series

OPERATIONS = [
    *("getOrder", "listOrders", "postOrders", "getRandom", "postRandom", "live", "ready"),
    "deleteOrder",
]
NDJSON = {"Accept": "application/x-ndjson"}
ORDERS_IN_LONG = FIRST_CHUNK + (LONG - 1) * CHUNK
PAGE = "/orders?customer_id=large&limit=1000"
HUGE = b"GET /orders/huge HTTP/1.1\r\nHost: test\r\n\r\n"
FLAT = 32
"""MB that a worker may grow by while it sends lists, however long they are."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="module")
def schema(server: ServerProcess) -> OpenApiSchema:
    return schemathesis.openapi.from_url(server.url + "/openapi.json", config=config())


@pytest.mark.parametrize(
    ("operation_id", "mode"),
    [(name, schemathesis.GenerationMode.POSITIVE) for name in OPERATIONS]
    # The others take whatever they are given.
    + [(name, schemathesis.GenerationMode.NEGATIVE) for name in OPERATIONS[1:5]],
)
def test_conformance(
    schema: OpenApiSchema, operation_id: str, mode: schemathesis.GenerationMode
) -> None:
    operation = schema.find_operation_by_id(operation_id)

    @effort(examples=8)
    @given(operation.as_strategy(generation_mode=mode))
    def conforms(case: schemathesis.Case[Any]) -> None:
        check(case)

    conforms()


def test_all_operations_are_tried(schema: OpenApiSchema) -> None:
    operations: Iterator[Any] = schema.get_all_operations()
    told = {found.ok().definition.raw["operationId"] for found in operations}
    assert told == {*OPERATIONS, "orderEvents"}  # that one has no end


def test_one_order(server: ServerProcess) -> None:
    answer = server.http.get("/orders/o7")
    assert answer.content == encode(series(8)[7])
    tag = answer.headers["etag"]
    assert server.http.get("/orders/o7", headers={"If-None-Match": tag}).status_code == 304
    head = server.http.head("/orders/o7")
    assert head.headers["content-length"] == str(len(answer.content))
    assert head.headers["etag"] == tag


@given(st.text(characters, min_size=1).filter(lambda uid: uid not in {".", ".."}))
def test_any_uid_arrives_as_it_was_written(server: ServerProcess, uid: str) -> None:
    answer = server.http.get("/orders/" + quote("echo " + uid, safe=""))
    assert answer.json() == {"order_uid": "echo " + uid}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (b"/orders/echo%20a%2Fb", 200),
        (b"/orders/echo%20%2F", 200),
        ("/orders/echo%20ü".encode(), 400),
        (b"/orders/%2F", 404),
        (b"/orders/%FF", 400),
        (b"/orders/%zz", 400),
        (b"/orders/a/b", 404),
        (b"/orders/echo/", 404),
    ],
)
def test_paths_as_they_are_sent(server: ServerProcess, path: bytes, status: int) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as raw:
        raw.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        answer = raw.makefile("rb").readline()
    assert answer.startswith(b"HTTP/1.1 %d " % status)


def test_pages_by_their_links(server: ServerProcess) -> None:
    found, url = [], "/orders?limit=7"
    while url:
        page = server.http.get(url)
        found += [order["order_uid"] for order in page.json()]
        url = page.links.get("next", {}).get("url", "")
    assert found == [f"o{i}" for i in reversed(range(30))]


@pytest.mark.parametrize("headers", [{}, NDJSON])
@pytest.mark.parametrize("failure", ["breaks", "crashes"])
def test_a_stream_that_fails_is_seen_to_fail(
    server: ServerProcess, failure: str, headers: dict[str, str]
) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        server.http.get(f"/orders?customer_id={failure}", headers=headers)
    assert "hunter2" not in server.log
    assert SECRET not in server.log
    assert server.answers()


def pages_read(server: ServerProcess) -> int:
    return int(server.http.get("/orders/pages read").json()["number"])


def memory(server: ServerProcess) -> int:
    """Resident memory in MB."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) // 1024


def test_a_slow_reader_costs_no_memory_and_leaving_ends_the_stream(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        before = memory(server)
        with server.http.stream("GET", "/orders?customer_id=endless") as answer:
            chunks = answer.iter_raw(1_000_000)
            for _ in range(20):
                next(chunks)
            # It does not read now, and others are served.
            server.wait_until(lambda: stands_still(server), 10, "the stream waits for its reader")
            waiting_at = pages_read(server)
            assert waiting_at < MANY_PAGES / 4
            assert memory(server) - before < FLAT
        server.wait_until(lambda: stands_still(server), 10, "the stream has ended")
        assert pages_read(server) < waiting_at + 100


def test_leaving_ends_the_stream_though_other_requests_wait(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as leaver:
            waiting = b"GET /orders/o7 HTTP/1.1\r\nHost: test\r\n\r\n"
            leaver.sendall(waiting.replace(b"/o7", b"?customer_id=endless") + waiting)
            assert leaver.recv(10)
        server.wait_until(lambda: stands_still(server), 20, "the stream has ended")
        assert pages_read(server) < MANY_PAGES


def test_ten_who_do_not_read_cost_little_and_hold_up_nobody(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server, ExitStack() as open_sockets:
        server.http.get("/orders?customer_id=endless&limit=500")
        before = memory(server)
        for _ in range(10):
            open_sockets.enter_context(ask_and_not_read(server))
        server.wait_until(lambda: stands_still(server), 20, "all streams wait for their readers")
        assert pages_read(server) < MANY_PAGES
        assert memory(server) - before < FLAT
        assert server.http.get("/orders/o7").status_code == 200
        assert len(server.http.get("/orders").json()) == 30


def test_who_takes_nothing_is_cut_off(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, "impatient") as server:
        with ask_and_not_read(server) as reader:
            server.wait_until(lambda: holds(server, reader), 10, "it is connected")
            server.wait_until(lambda: server.aborted() > 0, 20, "it is given up")
            server.wait_until(lambda: not holds(server, reader), 10, "its connection is gone")
            assert not read_to_the_end(reader).endswith(b"0\r\n\r\n")
        (line,) = [json.loads(line) for line in server.log.splitlines() if "stopped read" in line]
        assert (line["event"], line["level"]) == ("connections aborted", "info")
        assert "unforeseen" not in server.log


def test_who_takes_no_events_costs_no_memory_and_is_cut_off(tmp_path: Path) -> None:
    with (
        ServerProcess(tmp_path, "impatient") as server,
        server.http.stream("GET", "/orders/events") as other,
    ):
        before = memory(server)
        events = other.iter_raw()
        with ask_and_not_read(server, "/orders/events"):
            while not server.aborted():
                next(events)  # who reads has them meanwhile
            assert memory(server) - before < FLAT


@pytest.mark.parametrize("target", [PAGE, "/orders/huge"])
def test_who_takes_nothing_of_one_response_is_cut_off(tmp_path: Path, target: str) -> None:
    with (
        ServerProcess(tmp_path, "impatient") as server,
        ask_and_not_read(server, target) as reader,
    ):
        server.wait_until(lambda: server.aborted() > 0, 20, "given up")
        server.wait_until(lambda: not holds(server, reader), 10, "its connection is gone")


def test_who_takes_nothing_costs_the_kernel_little(tmp_path: Path) -> None:
    with (
        ServerProcess(tmp_path, "impatient") as server,
        ask_and_not_read(server, "/orders/huge") as reader,
    ):
        most = 0
        while not server.aborted():
            most = max(most, in_kernel(server, reader) or 0)
        assert 0 < most < 131_072


def test_who_sends_much_and_takes_nothing_costs_the_kernel_little(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server, socket.socket() as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
        sender.connect(("127.0.0.1", server.port))
        sender.settimeout(20)
        # What is read makes the kernel expect more of it.
        sender.sendall(b"POST /orders HTTP/1.1\r\nHost: test\r\nContent-Length: 9000000\r\n\r\n")
        sender.sendall(b" " * 9_000_000)
        assert sender.recv(12).startswith(b"HTTP/1.1 4")
        sender.sendall(b"GET /orders/huge HTTP/1.1\r\nHost: test\r\n\r\n" * 2)
        sender.settimeout(1)  # so long it has taken nothing then
        taken = 0
        with suppress(TimeoutError):
            while taken < 20_000_000:
                taken += sender.send(b" " * 65_536)
        assert taken < 500_000


def test_of_many_who_take_nothing_of_a_page_few_are_waited_for(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server, ExitStack() as open_sockets:
        for _ in range(30):
            open_sockets.enter_context(ask_and_not_read(server, PAGE))
        most = "all but those within the bound are given up"
        server.wait_until(lambda: server.aborted() >= 10, 20, most)

        def is_served() -> bool:
            # In the first second nobody is known yet for taking nothing.
            with suppress(httpx.RemoteProtocolError):
                return server.http.get(PAGE).status_code == 200
            return False

        server.wait_until(is_served, 20, "who reads is served meanwhile")


def test_many_who_read_slowly_cost_little(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server, ExitStack() as open_sockets:
        assert server.http.get(PAGE).status_code == 200
        before = memory(server)
        readers = [
            open_sockets.enter_context(ask_and_not_read(server, PAGE, segment=536))
            for _ in range(100)
        ]
        taken = dict.fromkeys(readers, 0)

        def are_served_or_given_up() -> bool:
            for reader in [reader for reader, size in taken.items() if size < 500_000]:
                try:
                    taken[reader] += len(reader.recv(16_384, socket.MSG_DONTWAIT)) or 500_000
                except BlockingIOError:
                    continue
                except ConnectionError:
                    taken[reader] = 500_000
            return min(taken.values()) >= 500_000

        server.wait_until(are_served_or_given_up, 30, "all have a part or are given up")
        assert memory(server) - before < 350


@pytest.mark.parametrize("left", [600_000, 0])
@pytest.mark.parametrize("has_tls", [False, True])
def test_who_takes_nearly_all_of_long_responses_costs_little(
    tmp_path: Path, left: int, *, has_tls: bool
) -> None:
    """Neither uvloop nor TLS gives back a part of what it was given at a time."""
    files = Authority(tmp_path / "authority").issue_files() if has_tls else None
    blindly = ssl._create_unverified_context()
    with ServerProcess(tmp_path, tls=files) as server, ExitStack() as open_sockets:
        size = len(server.http.get("/orders/huge").content)
        before = memory(server)
        for _ in range(20):
            plain = _connected(server)
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
            reader = open_sockets.enter_context(blindly.wrap_socket(plain) if has_tls else plain)
            reader.sendall(HUGE + (HUGE.replace(b"/orders/huge", PAGE.encode()) if left else b""))
            taken = 0
            while taken < size - left:
                taken += len(reader.recv(65_536))
        assert memory(server) - before < FLAT


def test_who_sends_no_more_is_sent_all_of_a_long_response(server: ServerProcess) -> None:
    with _connected(server) as reader:
        reader.sendall(HUGE)
        reader.shutdown(socket.SHUT_WR)
        assert read_to_the_end(reader).endswith(b'x"}')


def ask_and_not_read(
    server: ServerProcess, target: str = "/orders?customer_id=endless", segment: int = 0
) -> socket.socket:
    reader = socket.socket()
    reader.settimeout(20)
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    if segment:  # the system keeps less for the connection then, as over a real network
        reader.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, segment)
    reader.connect(("127.0.0.1", server.port))
    reader.sendall(f"GET {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n".encode())
    return reader


def read_to_the_end(reader: socket.socket) -> bytes:
    found = []
    with suppress(ConnectionResetError):
        while more := reader.recv(1_000_000):
            found.append(more)
    return b"".join(found)


def holds(server: ServerProcess, reader: socket.socket) -> bool:
    """Whether the worker still has its end of this connection."""
    return in_kernel(server, reader) is not None


def in_kernel(server: ServerProcess, reader: socket.socket) -> int | None:
    """Bytes of the worker that the kernel has for this reader; None once nobody has it open."""
    at, to = f":{server.port:04X}", f":{reader.getsockname()[1]:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    for row in rows:
        if row[1].endswith(at) and row[2].endswith(to) and row[9] != "0":  # it has an inode
            return int(row[4].partition(":")[0], 16)
    return None


def stands_still(server: ServerProcess) -> bool:
    read = pages_read(server)
    for _ in range(5):
        if pages_read(server) != read:
            return False
        server.http.get("/orders/takes a moment")
    return True


def test_all_of_a_long_stream(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        before, lines, last = memory(server), 0, b""
        with server.http.stream("GET", "/orders?customer_id=long", headers=NDJSON) as answer:
            for chunk in answer.iter_raw():
                lines += chunk.count(b"\n")
                last = chunk
        assert lines == ORDERS_IN_LONG
        assert last.endswith(b"\n")
        assert memory(server) - before < FLAT


def test_bodies_above_the_limit(server: ServerProcess) -> None:
    too_large = Settings().http_max_body + 1
    for content in (b" " * too_large, iter([b" " * (too_large // 10 + 1)] * 10)):
        answer = httpx.post(server.url + "/orders", content=content)
        problem(answer, 413, "too-large")


def test_publish_and_random(server: ServerProcess) -> None:
    orders = [json.loads(encode(order)) for order in series(10)]
    answer = server.http.post("/orders", json=orders)
    assert (answer.status_code, answer.headers["location"]) == (202, "/orders")
    assert len(server.http.post("/random/20").json()) == 20


def test_pages_and_documents(server: ServerProcess) -> None:
    page = server.http.get("/docs", follow_redirects=True)
    assert page.url.path == "/docs/index.html"
    bundle = server.http.get("/docs/swagger-ui-bundle.js")
    assert len(bundle.content) > 1_000_000
    assert server.http.get("/swagger.yaml").text.startswith("openapi: 3.1.0")


_POST = b"POST /orders HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (_POST + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\nabc\r\n", 400),
        (_POST + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nabc\r\n", 400),
        (b"GET /orders/o1 HTTP/1.1\r\n\r\n", 400),
        (b"GET /orders/o1 HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400),
        (b"GET //orders/o1 HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    ],
    ids=["chunk size", "huge chunk", "no host", "two hosts", "two slashes"],
)
def test_faults_of_clients_are_no_faults_of_the_server(
    server: ServerProcess, request_bytes: bytes, status: int
) -> None:
    before = len(server.log)
    with _connected(server) as line:
        line.sendall(request_bytes)
        assert line.recv(1_000).startswith(b"HTTP/1.1 %d " % status)
    server.wait_until(lambda: '"request"' in server.log[before:], 10, "it is logged")
    assert "unforeseen error" not in server.log[before:]


def test_an_upload_that_is_broken_off_is_logged_as_a_fault_of_the_client(
    server: ServerProcess,
) -> None:
    with _connected(server) as line:
        line.sendall(_POST + b"X-Request-ID: broken-off\r\nContent-Length: 100\r\n\r\nabc")
    server.wait_until(lambda: '"request_id":"broken-off"' in server.log, 10, "it is logged")
    (logged,) = [one for one in server.log.splitlines() if "broken-off" in one]
    assert json.loads(logged)["status"] == 400


def _connected(server: ServerProcess) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=30)
