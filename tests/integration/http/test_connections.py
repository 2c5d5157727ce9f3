"""What one connection may send, and in which order it is answered."""

import re
import signal
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orders.domain.order.document import encode
from orders.entrypoints.http.server import MOST_CLIENT_BYTES
from tests.integration.http.server_process import ServerProcess
from tests.integration.kafka.certificates import Authority
from tests.unit.http.harness import series
from tests.waiting import wait_until

_HOST = b" HTTP/1.1\r\nHost: test\r\n"
_LAST = _HOST + b"Connection: close\r\n\r\n"
PIPELINED = 200_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("server")) as running:
        yield running


def connect(server: ServerProcess) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=30)


def exchange(server: ServerProcess, *sent: bytes) -> bytes:
    """Send this on one connection; returns all that comes until the server closes it."""
    received = b""
    # It is reset if the server closes it before it has read everything.
    with connect(server) as connection, suppress(ConnectionError):
        for part in sent:
            connection.sendall(part)
        while part := connection.recv(65_536):
            received += part
    return received


def get(uid: bytes, end: bytes = _HOST + b"\r\n") -> bytes:
    return b"GET /orders/" + uid + end


def test_pipelined_requests_are_answered_in_their_order(server: ServerProcess) -> None:
    uids = [b"o7", b"echo%20a", b"takes%20a%20moment", b"o7", b"echo%20b", b"o8"]
    answers = exchange(server, b"".join(map(get, uids)) + get(b"echo%20end", _LAST))
    starts = [
        answers.index(part) for part in (b'"o7"', b'"echo a"', b" 404 ", b'"echo b"', b'"o8"')
    ]
    assert starts == sorted(starts)
    assert answers.count(b"HTTP/1.1 200 OK") == 6
    assert answers.endswith(b'{"order_uid":"echo end"}')


def test_what_many_connections_send_at_the_same_time_is_served_in_turns(tmp_path: Path) -> None:
    """Those that leave meanwhile, and the pieces of what is long, change nothing for others."""
    post = b"POST /orders" + _HOST + b"Content-Length: %d\r\n\r\n" % 99_000 + b" " * 99_000
    with ServerProcess(tmp_path) as server, ExitStack() as stack:
        leaving = [stack.enter_context(connect(server)) for _ in range(100)]
        staying = [stack.enter_context(connect(server)) for _ in range(200)]
        assert server.http.get("/orders/o7").status_code == 200  # all are accepted
        server.process.send_signal(signal.SIGSTOP)
        for connection in leaving:
            connection.sendall(get(b"echo%20a"))
            connection.close()
        for number, connection in enumerate(staying):
            connection.sendall(post + get(b"o7") + get(b"echo%%20%d" % number, _LAST))
        server.process.send_signal(signal.SIGCONT)
        for number, connection in enumerate(staying):
            answers = connection.makefile("rb").read()
            assert re.findall(rb"HTTP/1.1 (\d+) ", answers) == [b"422", b"200", b"200"]
            assert answers.endswith(b'{"order_uid":"echo %d"}' % number)
        assert "never awaited" not in server.log
        assert "Traceback" not in server.log


_UPGRADE = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"
_LENGTH = b"Content-Length: 2\r\n"
_EACH = [
    (b"GET /orders/o7", b"", b""),
    (b"GET /orders/echo%20a", b"", b""),
    (b"GET /orders/takes%20a%20moment", b"", b""),
    (b"GET /orders/a;b%20[?c", b"", b""),
    (b"GET /orders/o7", _LENGTH, b"ab"),
    (b"GET /orders/o7", b"If-None-Match: *\r\n", b""),
    (b"GET /orders/o7", _UPGRADE, b""),
    (b"GET http://test/orders/o7", b"", b""),
    (b"HEAD /orders/o7", b"", b""),
    (b"OPTIONS /orders/o7", b"", b""),
    (b"GET /orders?limit=2", b"", b""),
    (b"GET /orders", b"", b""),
    (b"POST /orders", _LENGTH, b"[]"),
    (b"POST /orders", _UPGRADE + _LENGTH, b"[]"),
    (b"POST /orders", b"Transfer-Encoding: chunked\r\n", b"1\r\n[\r\n1\r\n]\r\n0\r\nX: y\r\n\r\n"),
    (b"PUT /nothing", _LENGTH, b"ab"),
]


def test_pipelined_requests_are_answered_as_one_by_one(server: ServerProcess) -> None:
    def unstamped(answers: bytes) -> bytes:
        return re.sub(rb"(date|connection): [^\r]*\r\n", b"", answers)

    def request(line: bytes, headers: bytes, body: bytes) -> bytes:
        return line + _HOST + b"X-Request-ID: same\r\n" + headers + b"\r\n" + body

    @cache
    def alone(line: bytes, headers: bytes, body: bytes) -> bytes:
        return unstamped(exchange(server, request(line, headers + b"Connection: close\r\n", body)))

    last = (b"GET /orders/o8", b"Connection: close\r\n", b"")

    @settings(max_examples=40, deadline=None)
    @given(st.lists(st.sampled_from(_EACH), max_size=12), st.lists(st.integers(0, 2_000)))
    def check(requests: list[tuple[bytes, bytes, bytes]], cuts: list[int]) -> None:
        sent = b"".join(request(*each) for each in (*requests, last))
        places = [0, *sorted(cut % len(sent) for cut in cuts), len(sent)]
        answers = exchange(server, *(sent[i:j] for i, j in pairwise(places)))
        assert unstamped(answers) == b"".join(alone(*each) for each in (*requests, last))

    check()


def test_other_requests_take_their_turn(server: ServerProcess) -> None:
    answers = exchange(
        server,
        get(b"takes%20a%20moment") + b"GET /health/live" + _HOST + b"\r\n" + get(b"o7", _LAST),
    )
    assert re.findall(rb"HTTP/1.1 (\d+) ", answers) == [b"404", b"200", b"200"]
    assert answers.endswith(encode(series(8)[7]))


def test_many_requests_at_once_are_not_taken_for_headers(server: ServerProcess) -> None:
    number = 20
    long = get(b"o7", _HOST + b"x: " + b"a" * 2_000 + b"\r\n\r\n")
    answers = exchange(server, long * number + get(b"echo%20end", _LAST))
    assert answers.count(b"HTTP/1.1 200 OK") == number + 1


def test_a_request_may_come_in_pieces(server: ServerProcess) -> None:
    whole = get(b"o7", _LAST)
    answer = exchange(server, *(whole[i : i + 1] for i in range(len(whole))))
    assert answer.endswith(encode(series(8)[7]))


@pytest.mark.parametrize("end", [_LAST, b" HTTP/1.0\r\nHost: test\r\n\r\n"])
def test_the_last_request_closes_the_connection(server: ServerProcess, end: bytes) -> None:
    answer = exchange(server, get(b"o7", end))
    assert b"\r\nconnection: close\r\n" in answer
    assert answer.endswith(encode(series(8)[7]))


@pytest.mark.parametrize(
    "end", [_LAST, b" HTTP/1.0\r\nHost: test\r\nConnection: keep-alive\r\n\r\n"]
)
def test_nothing_is_served_after_the_last_response(server: ServerProcess, end: bytes) -> None:
    before = server.log.count('"POST"')
    post = b"POST /random/1" + _HOST + b"Content-Length: 0\r\n\r\n"
    answers = exchange(server, get(b"o7", end) + get(b"o7") + post)
    assert answers.count(b"HTTP/1.1 ") == 1
    assert server.http.get("/orders/o7").status_code == 200
    assert server.log.count('"POST"') == before


def test_the_answer_to_head_has_no_body(server: ServerProcess) -> None:
    answers = exchange(server, b"HEAD /orders/o7" + _HOST + b"\r\n" + get(b"echo%20end", _LAST))
    assert answers.count(b"HTTP/1.1 200 OK") == 2
    assert b'"o7"' not in answers


def test_a_body_of_a_read_is_ignored(server: ServerProcess) -> None:
    body = b"Content-Length: 100000\r\n\r\n" + b"x" * 100_000
    answers = exchange(server, get(b"o7", _HOST + body), get(b"o8", _LAST))
    assert answers.count(b"HTTP/1.1 200 OK") == 2
    assert answers.endswith(encode(series(9)[8]))


_CHUNKED = b"POST /orders" + _HOST + b"Transfer-Encoding: chunked\r\n\r\n3\r\n[]\n\r\n0\r\n"


def test_trailers_are_ignored(server: ServerProcess) -> None:
    trailers = b"".join(b"X-%d: y\r\n" % number for number in range(100))
    answers = exchange(server, _CHUNKED, trailers, b"\r\n", get(b"o8", _LAST))
    assert answers.endswith(encode(series(9)[8]))


def test_a_trailer_cannot_end_the_connection(server: ServerProcess) -> None:
    answers = exchange(server, _CHUNKED + b"Connection: close\r\n\r\n" + get(b"o8"))
    assert re.findall(rb"HTTP/1.1 (\d+) ", answers) == [b"400"]


@pytest.mark.parametrize(("version", "interim"), [(b"1.0", []), (b"1.1", [b"100"])])
def test_who_expects_to_be_asked_for_the_body_is_asked(
    server: ServerProcess, version: bytes, interim: list[bytes]
) -> None:
    headers = (
        _LAST.partition(b"\r\n")[2][:-2] + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    )
    answers = exchange(server, b"POST /orders HTTP/" + version + b"\r\n" + headers + b"[]")
    assert re.findall(rb"HTTP/1.1 (\d+) ", answers) == [*interim, b"422"]


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"GET /" + _HOST + b"ab:\r\n" * 101 + b"\r\n", id="many headers"),
        pytest.param(b"GET /" + _HOST + b"x: %b\r\n\r\n" % (b"y" * 40_000), id="long header"),
        pytest.param(b"GET /" + _HOST + b"x: " + b"y" * 40_000, id="unfinished header"),
        pytest.param(_CHUNKED + b"ab:\r\n" * 101 + b"\r\n", id="many trailers"),
        pytest.param(_CHUNKED + b"x: " + b"y" * 99_000, id="unfinished trailer"),
        pytest.param(_CHUNKED[:-3] + b"2;" + b"y" * 99_000, id="unfinished chunk header"),
    ],
)
def test_headers_and_trailers_are_bounded(server: ServerProcess, sent: bytes) -> None:
    answer = exchange(server, sent)
    assert answer.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
    assert answer.count(b"HTTP/1.1 ") == 1


def test_the_length_of_a_path_is_bounded(server: ServerProcess) -> None:
    assert exchange(server, get(b"y" * 40_000)).startswith(b"HTTP/1.1 414 ")


@pytest.mark.parametrize("length", [1_000, 100_000])
def test_a_body_is_not_taken_for_headers(server: ServerProcess, length: int) -> None:
    body = b"[" + b" " * length + b"]"
    post = b"POST /orders" + _HOST + b"Content-Length: %d\r\n\r\n" % len(body)
    whole = post + body + get(b"o8", _LAST)
    for split in range(len(post + body) - 5, len(whole), 7):
        answers = exchange(server, whole[:split], whole[split:])
        assert re.findall(rb"HTTP/1.1 (\d+) ", answers) == [b"422", b"200"]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"this is not HTTP\r\n\r\n", b"400"),
        (b"GET /" + _HOST + b"ab:\r\n" * 101 + b"\r\n", b"431"),
        (_CHUNKED[:-3] + b"no number\r\n\r\n", b"400"),
        (get(b"o7") * 50, b"400"),
    ],
)
@pytest.mark.parametrize("first", [b"orders/takes%20a%20moment", b"orders?customer_id=long"])
def test_a_refusal_waits_for_earlier_responses(
    server: ServerProcess, first: bytes, sent: bytes, status: bytes
) -> None:
    answers = exchange(server, b"GET /" + first + _HOST + b"\r\n" + get(b"o8") + sent)
    statuses = re.findall(rb"HTTP/1.1 (\d+) ", answers)
    assert statuses[0] == (b"200" if b"?" in first else b"404")
    assert statuses[1] == b"200"
    assert statuses[-1] == status
    assert statuses.count(status) == 1
    assert b"\r\nconnection: close\r\n" in answers[answers.rindex(b"HTTP/1.1 ") :]


def test_a_fault_in_a_body_that_is_being_read_ends_its_request(server: ServerProcess) -> None:
    with connect(server) as connection:
        connection.sendall(_CHUNKED[:-3])
        connection.sendall(b"no number\r\n")
        answer = connection.makefile("rb").read()
    assert re.findall(rb"HTTP/1.1 (\d+) ", answer) == [b"400"]


def test_a_request_to_upgrade_is_served_without(server: ServerProcess) -> None:
    upgrade = _HOST + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    post = b"POST /orders" + upgrade + b"Content-Length: 2\r\n\r\n[]"
    requests = get(b"o7", upgrade + b"\r\n") + post + get(b"o8", _LAST)
    for sent in ([requests], [requests[i : i + 1] for i in range(len(requests))]):
        answers = exchange(server, *sent)
        assert re.findall(rb"HTTP/1.1 (\d+) ", answers) == [b"200", b"422", b"200"]
        assert answers.endswith(encode(series(9)[8]))


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"CONNECT example.com:443 HTTP/1.1", b"501"),
        (b"CONNECT example.com:443 HTTP/1.1\r\nContent-Length: 4", b"501"),
        (b"CONNECT example.com:443 HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c", b"501"),
        (b"GET /orders/o7 HTTP/2.0", b"505"),
        (b"POST /orders HTTP/1.1\r\nTransfer-Encoding: gzip, chunked", b"501"),
        (b"GET /orders/o7#part HTTP/1.1", b"400"),
        (b"GET /orders?limit=1#part HTTP/1.1", b"400"),
    ],
)
def test_what_is_not_spoken_here_is_refused(
    server: ServerProcess, request_line: bytes, status: bytes
) -> None:
    answer = exchange(server, request_line + b"\r\nHost: test\r\n\r\nmore")
    assert re.findall(rb"HTTP/1.1 (\d+) ", answer) == [status]
    assert b"\r\nconnection: close\r\n" in answer


def test_refusals_are_counted(server: ServerProcess) -> None:
    exchange(server, b"this is not HTTP\r\n\r\n")
    found = server.http.get("/metrics").text
    assert 'duration_seconds_count{method="other",route="unknown",status="400"}' in found


@pytest.mark.parametrize("method", [b"EHLO", b"M" * 5_000])
def test_what_is_not_http_is_told_so(server: ServerProcess, method: bytes) -> None:
    answer = exchange(server, method + b" /orders/o1" + _LAST)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"\r\ncontent-type: application/problem+json\r\n" in answer
    assert b'"code":"invalid-request"' in answer
    assert b"\r\nconnection: close\r\n" in answer


def test_a_response_to_a_connection_that_has_ended_is_no_fault(server: ServerProcess) -> None:
    post = b"POST /orders" + _HOST + b"Content-Length: 3\r\n\r\nabc"
    before = server.log.count('"/orders"')
    for _ in range(100):
        with connect(server) as connection:
            connection.sendall(post + post + b"this is not HTTP\r\n\r\n")
            connection.recv(10)
    server.wait_until(lambda: server.log.count('"/orders"') >= before + 100, 10, "all are logged")
    assert "unforeseen" not in server.log


def test_who_leaves_while_an_order_is_looked_up_is_no_fault(server: ServerProcess) -> None:
    with connect(server) as connection:
        connection.sendall(get(b"takes%20a%20moment"))
    assert server.http.get("/orders/takes a moment").status_code == 404
    assert server.http.get("/orders/o7").status_code == 200
    assert "unforeseen" not in server.log


def test_what_many_connections_leave_unfinished_takes_little_memory(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server, ExitStack() as stack:
        before = memory(server)
        for sent in (b"GET /" + _HOST + b"a:\r\n" * 99, get(b"slow") + get(b"o7") * 19):
            for _ in range(150):
                stack.enter_context(connect(server)).sendall(sent)
        assert server.http.get("/orders/o7").status_code == 200
        assert memory(server) - before < 24


def test_bodies_of_many_requests_that_wait_are_bounded(tmp_path: Path) -> None:
    post = b"POST /orders" + _HOST + b"Content-Length: 1000000\r\n\r\n" + b" " * 200_000
    with ServerProcess(tmp_path) as server, ExitStack() as stack:
        for _ in range(600):
            stack.enter_context(connect(server)).sendall(get(b"slow") + post)
        server.wait_until(lambda: server.aborted() > 1, 20, "some are aborted")
        assert server.log.count("connections aborted") < server.aborted()  # one line a second
        assert server.http.get("/orders/o7").status_code == 200


def test_headers_of_many_requests_that_wait_are_bounded(tmp_path: Path) -> None:
    long = get(b"o7").replace(b"\r\n\r\n", b"\r\nA: " + b"a" * 30_000 + b"\r\n\r\n")
    with ServerProcess(tmp_path) as server, ExitStack() as stack:
        for _ in range(600):
            stack.enter_context(connect(server)).sendall(get(b"slow") + long * 4)
        server.wait_until(lambda: server.aborted() > 1, 20, "some are aborted")
        assert server.http.get("/orders/o7").status_code == 200


def test_requests_that_are_served_while_their_bodies_arrive_are_bounded(tmp_path: Path) -> None:
    """Those whose bodies do not arrive give way to a larger one that does."""
    headers = b"".join(b"A%d: %s\r\n" % (number, b"a" * 300) for number in range(90))
    post = b"POST /orders" + _HOST + headers + b"Content-Length: 100000\r\n\r\n"
    with ServerProcess(tmp_path) as server, ExitStack() as stack:
        for _ in range(900):
            stack.enter_context(connect(server)).sendall(post + b" " * 55_000)
        beyond = 900 - MOST_CLIENT_BYTES // (10_000 + 90 * (2 * 180 + 3 * 300) + 55_000)
        server.wait_until(lambda: server.aborted() >= beyond, 20, "all have arrived")
        assert server.http.get("/orders/o7").status_code == 200
        before = server.aborted()
        connection = stack.enter_context(connect(server))
        connection.sendall(post + b" " * 99_999)
        server.wait_until(lambda: server.aborted() > before, 20, "another one is aborted")
        connection.sendall(b" ")
        assert connection.recv(12) == b"HTTP/1.1 422"


@pytest.mark.parametrize("uid", [b"o7", b"echo%20a"], ids=["cached", "looked up"])
def test_who_sends_requests_and_reads_no_answer_is_cut_off(tmp_path: Path, uid: bytes) -> None:
    with ServerProcess(tmp_path, "impatient") as server, connect(server) as connection:
        before = memory(server)
        connection.settimeout(20)
        with pytest.raises(ConnectionError):
            connection.sendall(get(uid) * PIPELINED)
        assert memory(server) - before < 32
        assert server.http.get("/orders/o7").status_code == 200


def test_long_responses_to_many_at_once_take_little_memory(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server, ExitStack() as stack:
        assert server.http.get("/orders/huge").status_code == 200
        before = memory(server)
        readers = [stack.enter_context(connect(server)) for _ in range(80)]
        for reader in readers:
            reader.sendall(get(b"huge"))
        statuses = set()
        for reader in readers:
            with suppress(ConnectionResetError):  # it is cut off: too much waits for others
                statuses.add(reader.recv(12))
        assert b"HTTP/1.1 200" in statuses
        assert statuses <= {b"", b"HTTP/1.1 200", b"HTTP/1.1 503"}
        assert memory(server) - before < 300


@pytest.mark.parametrize("taken", [0, 3_000_000], ids=["at once", "later"])
def test_who_does_not_read_by_tls_is_cut_off(tmp_path: Path, taken: int) -> None:
    """Later: once the connection below TLS has room, TLS gives it all that waits."""
    blindly = ssl._create_unverified_context()
    files = Authority(tmp_path / "authority").issue_files()
    with ServerProcess(tmp_path, "impatient", tls=files) as server:
        with blindly.wrap_socket(connect(server)) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
            connection.sendall(get(b"huge"))
            assert connection.recv(1)
            assert server.http.get("/orders/o7").status_code == 200  # all of it is written
            while taken > 0:
                taken -= len(connection.recv(taken))
            server.wait_until(lambda: server.aborted() == 1, 20, "it is aborted")
        answer = server.http.get("/orders/huge")
        assert len(answer.content) > 8_000_000


def test_who_does_not_end_tls_is_cut_off(tmp_path: Path) -> None:
    blindly = ssl._create_unverified_context()
    files = Authority(tmp_path / "authority").issue_files()
    with (
        ServerProcess(tmp_path, "impatient", tls=files) as server,
        blindly.wrap_socket(connect(server)) as connection,
    ):
        connection.sendall(get(b"o7", _LAST))
        server.wait_until(lambda: server.aborted() == 1, 20, "it is aborted")
        while connection.recv(65_536):  # the response, and the server's end of TLS
            pass


@pytest.mark.parametrize("speaks_tls", [False, True])
def test_a_connection_that_has_ended_is_freed_without_the_collector(
    tmp_path: Path, *, speaks_tls: bool
) -> None:
    """Else those with TLS, whose buffers are large, would wait for it, and it seldom runs."""
    files = Authority(tmp_path / "authority").issue_files() if speaks_tls else None
    blindly = ssl._create_unverified_context()
    paths = (
        *(b"/orders/o7", b"/orders/huge", b"/orders/takes%20a%20while", b"/orders/missing"),
        *(b"/orders/%FF", b"/nope", b"/orders?customer_id=endless", b"/orders?limit=x"),
        *(b"/orders/events?last_event_id=1-x", b"/health/live"),
    )
    with ServerProcess(tmp_path, "without collector", tls=files) as server:
        for left_early in (False, True):
            for path in paths:
                with connect(server) as plain:
                    ready = blindly.wrap_socket(plain) if speaks_tls else plain
                    ready.sendall(b"GET " + path + _HOST + b"\r\n")
                    if not left_early:
                        assert ready.recv(5) == b"HTTP/"
                    ready.close()

        def are_freed() -> bool:
            return bool(server.http.get("/orders/connections").json()["number"] == 1)

        wait_until(are_freed, 20, "its own connection is the only one")


def memory(server: ServerProcess) -> int:
    """Peak of resident memory in MB."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) // 1024
