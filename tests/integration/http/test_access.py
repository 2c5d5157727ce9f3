"""Access control of a real server: over real connections, with several workers, by every way in."""

import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from orders.client import (
    Forbidden,
    InvalidOrders,
    NotFound,
    OrdersClient,
    RateLimited,
    Unauthorized,
)
from orders.entrypoints.http.access import key_file
from orders.entrypoints.http.access.scopes import SCOPES
from orders.entrypoints.http.orders.order_path import EVENTS
from orders.entrypoints.http.server import GRACE_SECONDS
from orders.entrypoints.http.tls_handshakes import MOST_EMPTY_RECORDS
from orders_dev.apps import is_ready
from tests.integration.http.access_server import serving
from tests.integration.http.server_process import ServerProcess
from tests.integration.kafka.certificates import Authority
from tests.integration.system.processes import SOURCES, free_port
from tests.tls_records import Records, answers
from tests.unit.http.access.access_harness import bearer, new_key
from tests.unit.http.access.test_routes import OPEN, REQUIRED, operations
from tests.unit.http.harness import order, problem
from tests.waiting import wait_until

UPGRADE = (
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
)
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
NEW = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("access")


@pytest.fixture(scope="module")
def keys(folder: Path) -> dict[str, str]:
    """A key for each scope."""
    return {scope: new_key(folder / "keys.json", scope)[1] for scope in SCOPES}


@pytest.fixture(scope="module")
def server(folder: Path, keys: dict[str, str]) -> Iterator[ServerProcess]:
    path = str(folder / "keys.json")
    with serving(folder, AUTH="keys", KEYS_FILE=path, FAILURE_LIMIT="1000/minute") as running:
        assert keys
        yield running


def request(server: ServerProcess, method: str, url: str, **more: Any) -> httpx.Response:
    """On a connection of its own, so that any worker may answer."""
    return httpx.request(method, server.url + url, timeout=20, **more)


def test_every_operation_is_refused_without_its_scope(
    server: ServerProcess, keys: dict[str, str]
) -> None:
    described = request(server, "GET", "/openapi.json", headers=bearer(keys["orders:read"])).json()
    tried = set()
    for template, method, operation in operations(described):
        name = operation["operationId"]
        tried.add(name)
        uid = "gone" if method == "delete" else "o1"
        url = template.replace("{order_uid}", uid).replace("{amount}", "1")
        if operation["security"] == []:
            assert template in OPEN
            assert request(server, method, url).status_code == 200
            continue
        (by_header, by_session) = operation["security"]
        assert by_header == {"bearer": [REQUIRED[name]]}
        assert by_session == {"session": [REQUIRED[name]]}
        problem(request(server, method, url), 401, "unauthorized")
        for scope, key in keys.items():
            if template == EVENTS and scope == REQUIRED[name]:
                continue  # it does not end
            answer = request(server, method, url, headers=bearer(key))
            if scope == REQUIRED[name]:
                assert answer.status_code in {200, 204, 422}, answer.text
            else:
                problem(answer, 403, "forbidden")
    assert tried == set(REQUIRED)


def wire(server: ServerProcess, sent: bytes, *, is_ended: bool = True) -> bytes:
    """What comes back on these bytes; ``is_ended``: the client says that no more will come."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        parts = []
        with suppress(OSError):  # it may end the connection before it has taken all
            connection.sendall(sent)
            if is_ended:
                connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65_536):
                parts.append(part)
        return b"".join(parts)


@pytest.mark.parametrize(
    "line",
    [
        b"GET /orders/o1 HTTP/1.1",
        b"HEAD /orders/o1 HTTP/1.1",
        b"OPTIONS /orders/o1 HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
        b"get /orders/o1 HTTP/1.1",
        b"FOO /orders/o1 HTTP/1.1",
        b"GET /orders/o1 HTTP/1.0",
        b"GET //orders/o1 HTTP/1.1",
        b"GET /orders//o1 HTTP/1.1",
        b"GET /orders/../orders/o1 HTTP/1.1",
        b"GET /health/live/../../orders/o1 HTTP/1.1",
        b"GET /health/live%2f..%2f..%2forders%2fo1 HTTP/1.1",
        b"GET /assets/..%2forders HTTP/1.1",
        b"GET /orders%2fo1 HTTP/1.1",
        b"GET /%6frders/o1 HTTP/1.1",
        b"GET /orders?limit=1 HTTP/1.1",
        b"GET /orders/?limit=1 HTTP/1.1",
        b"GET /orders;jsessionid=1?limit=1 HTTP/1.1",
        b"GET /health/live?/../orders/o1 HTTP/1.1\r\nX-Original-URL: /orders/o1",
        b"GET /health/live HTTP/1.1\r\nX-Rewrite-URL: /orders/o1",
        b"GET /orders/o1 HTTP/1.1\r\nX-HTTP-Method-Override: OPTIONS",
        b"GET http://x/orders/o1 HTTP/1.1",
        b"GET http://x/health/live/../../orders/o1 HTTP/1.1",
        b"GET /orders/o1 HTTP/1.1\r\n" + UPGRADE,
        b"GET / HTTP/1.1\r\n" + UPGRADE,
        b"POST /random/1 HTTP/1.1\r\nContent-Length: 0",
        b"GET /random/1 HTTP/1.1",
        b"CONNECT x:443 HTTP/1.1",
        b"GET /orders/o1 HTTP/1.1\r\nAuthorization: ",
        b"GET /orders/o1 HTTP/1.1\r\nAuthorization: Bearer ",
        b"GET /orders/o1 HTTP/1.1\r\nAuthorization: Bearer \xff\xfe",
        b"GET /orders/o1 HTTP/1.1\r\nAuthorization: Bearer " + b"x" * 200_000,
        b"GET /orders/o1 HTTP/1.1\r\nCookie: orders-session=",
        b"GET /orders/o1 HTTP/1.1\r\nCookie: orders-session=\xff.0",
    ],
)
def test_no_bytes_lead_to_an_order_without_a_key(server: ServerProcess, line: bytes) -> None:
    answer = wire(server, line + b"\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert b'"order_uid":"o' not in answer
    assert b" 101 " not in answer[:20]
    assert answers_still(server)


def test_a_second_request_on_the_connection_is_checked_by_itself(
    server: ServerProcess, keys: dict[str, str]
) -> None:
    key = keys["orders:read"].encode()
    first = b"GET /orders/o1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + key + b"\r\n\r\n"
    second = b"GET /orders/o2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = wire(server, first + second, is_ended=False)
    assert answer.count(b"HTTP/1.1 200 ") == 1
    assert answer.count(b"HTTP/1.1 401 ") == 1
    assert b'"order_uid":"o2"' not in answer


@pytest.mark.parametrize("url", ["/orders", "/orders/o1"])
def test_the_header_twice(server: ServerProcess, keys: dict[str, str], url: str) -> None:
    twice = [("Authorization", f"Bearer {keys['orders:read']}")] * 2
    problem(request(server, "GET", url, headers=twice), 401, "unauthorized")


def test_a_revoked_key_and_its_session_end_for_all_workers(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    key_id, key = new_key(path, "orders:read")
    _, other = new_key(path, "orders:read")
    with serving(tmp_path, AUTH="keys", KEYS_FILE=str(path)) as server:
        done = request(server, "POST", "/login", data={"key": key})
        assert done.status_code == 303
        session = {"Cookie": done.headers["set-cookie"].partition(";")[0]}
        ways = [bearer(key), session]

        def statuses() -> set[int]:
            found = (request(server, "GET", "/orders/o1", headers=way) for way in ways * 6)
            return {answer.status_code for answer in found}

        assert statuses() == {200}
        _, added = new_key(path, "orders:read")
        ways = [bearer(added)]
        wait_until(lambda: statuses() == {200}, 10, "the new key is known", lambda: server.log)
        ways = [bearer(key), session]
        key_file.edit(path, lambda found: tuple(k for k in found if k.id != key_id))
        wait_until(lambda: statuses() == {401}, 10, "the old one is not", lambda: server.log)
        assert request(server, "GET", "/orders/o1", headers=bearer(other)).status_code == 200
        assert key not in server.log


def answers_still(server: ServerProcess) -> bool:
    return request(server, "GET", "/health/live").status_code == 200


def test_limits_hold_over_connections(tmp_path: Path) -> None:
    with serving(tmp_path, workers=1, RATE_LIMIT="5/hour") as server:
        statuses = [request(server, "GET", "/orders/o1").status_code for _ in range(8)]
        assert statuses == [200] * 5 + [429] * 3
        for _ in range(20):
            forged = {"X-Forwarded-For": "198.51.100.1", "Forwarded": "for=198.51.100.1"}
            assert request(server, "GET", "/orders/o1", headers=forged).status_code == 429
        assert answers_still(server)
        assert server.log.count('"event":"client is limited"') == 1


# --- Tokens -----------------------------------------------------------------------------------


class Issuer:
    """Serves a JWKS, unless it hangs or is down."""

    def __init__(self) -> None:
        self.keys = {"old": RSA}
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.asked = 0
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked += 1
                issuer.may_answer.wait(60)
                body = json.dumps({"keys": issuer.published()}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/jwks"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def published(self) -> list[dict[str, Any]]:
        return [
            RSAAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": kid}
            for kid, key in self.keys.items()
        ]

    def token(self, kid: str = "old", key: Any = RSA, **changes: Any) -> str:
        claims = {"iss": "https://i", "aud": "orders", "sub": "s", "exp": int(time.time()) + 600}
        claims |= {"scope": "orders:read"} | changes
        return jwt.encode(claims, key, "RS256", headers={"kid": kid})


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    made = Issuer()
    yield made
    made.may_answer.set()
    made.server.shutdown()
    made.server.server_close()


def test_an_issuer_that_hangs_holds_nobody_else_up(tmp_path: Path, issuer: Issuer) -> None:
    settings = {"AUTH": "jwt", "JWT_ISSUER": "https://i", "JWT_AUDIENCE": "orders"}
    settings["FAILURE_LIMIT"] = "5/minute"  # which refuses no valid token
    with serving(tmp_path, workers=1, **settings, JWT_JWKS=issuer.url) as server:
        good = bearer(issuer.token())
        assert request(server, "GET", "/orders/o1", headers=good).status_code == 200
        problem(request(server, "POST", "/random/1", headers=good), 403, "forbidden")
        for wrong in ({"aud": "x"}, {"exp": 1}, {"iss": "x"}):
            sent = bearer(issuer.token(**wrong))
            problem(request(server, "GET", "/orders/o1", headers=sent), 401, "unauthorized")
        issuer.may_answer.clear()
        asked = issuer.asked
        unknown = bearer(issuer.token("unknown", NEW))
        with ThreadPoolExecutor(8) as pool:
            # Its keys are asked for once the interval is over; until then it is refused at once.
            waiting = pool.submit(_ask_until_it_hangs, server, issuer, asked, unknown)
            wait_until(lambda: issuer.asked > asked, 30, "the issuer is asked", lambda: server.log)
            began = time.monotonic()
            for _ in range(20):
                assert request(server, "GET", "/orders/o1", headers=good).status_code == 200
                again = bearer(issuer.token(jti=os.urandom(4).hex()))
                assert request(server, "GET", "/orders/o1", headers=again).status_code == 200
                assert answers_still(server)
            assert issuer.asked == asked + 1, "one question at a time"
            assert not waiting.done() or time.monotonic() - began > 3
            waiting.result(60)
        assert '"event":"signing keys cannot be read"' in server.log
        issuer.may_answer.set()
        issuer.keys["new"] = NEW
        rotated = bearer(issuer.token("new", NEW))

        def is_known() -> bool:
            return request(server, "GET", "/orders/o1", headers=rotated).status_code == 200

        wait_until(is_known, 40, "the new key is known", lambda: server.log)
        assert '"event":"signing keys read"' in server.log


def _ask_until_it_hangs(
    server: ServerProcess, issuer: Issuer, asked: int, headers: dict[str, str]
) -> None:
    while issuer.asked == asked:
        assert request(server, "GET", "/orders/o1", headers=headers).status_code in {401, 429}


# --- TLS --------------------------------------------------------------------------------------


def environment(**settings: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ORDERS_")}
    given = {f"ORDERS_HTTP_{name}": value for name, value in settings.items()}
    return clean | {"PYTHONPATH": SOURCES, "ORDERS_LOG_FORMAT": "json"} | given


@contextmanager
def orders_api(folder: Path, wrapper: Sequence[str] = (), **settings: str) -> Iterator[Path]:
    """`orders api --memory`; yields its log. ``wrapper`` is a command that runs it."""
    log = folder / "api.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [*wrapper, sys.executable, "-m", "orders", "api", "--memory"],
            env=environment(**settings),
            stdout=stream,
            stderr=stream,
            cwd=folder,
        )
    try:
        listening = '"event":"listening"'
        wait_until(lambda: listening in log.read_text(), 30, "it listens", log.read_text)
        yield log
    finally:
        process.terminate()
        assert process.wait(20) == 0


def tls_settings(folder: Path) -> dict[str, str]:
    """Settings of an API with TLS, on a free port."""
    certificate, key = Authority(folder / "authority").issue_files()
    return {"TLS_CERTIFICATE": certificate, "TLS_KEY": key, "PORT": str(free_port())}


def open_files(health_port: int) -> int:
    text = httpx.get(f"http://127.0.0.1:{health_port}/metrics", timeout=20).text
    return int(float(text.partition("\nprocess_open_fds ")[2].partition("\n")[0]))


def https_answers(url: str, context: ssl.SSLContext) -> bool:
    try:
        return httpx.get(url, verify=context, timeout=20).status_code == 200
    except httpx.TransportError:
        return False


def test_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    certificate, key = authority.issue_files()
    port = free_port()
    tls = {"TLS_CERTIFICATE": certificate, "TLS_KEY": key, "PORT": str(port)}
    trusting = ssl.create_default_context(cafile=authority.file)
    url = f"https://127.0.0.1:{port}"
    with orders_api(tmp_path, **tls) as log:
        live = url + "/health/live"
        wait_until(lambda: https_answers(live, trusting), 20, "it answers", log.read_text)
        assert httpx.get(url + "/orders", verify=trusting).json() == []
        asked = subprocess.run(
            [sys.executable, "-m", "orders", "health", "api"],
            env=environment(**tls),
            capture_output=True,
            text=True,
            check=False,
        )
        assert (asked.returncode, json.loads(asked.stdout)["state"]) == (0, "ready")
        assert is_ready(url)  # which `orders dev` waits for
        with pytest.raises(httpx.TransportError):
            httpx.get(url.replace("https", "http") + "/health/live")
        with pytest.raises(httpx.ConnectError):
            httpx.get(url + "/health/live")  # by an authority that nobody knows
        old = ssl.create_default_context(cafile=authority.file)
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        assert httpx.get(url + "/health/live", verify=old).status_code == 200
        assert "Traceback" not in log.read_text()


def test_handshakes_that_never_end_keep_no_connection_from_others(tmp_path: Path) -> None:
    most = 5
    tls = tls_settings(tmp_path)
    port = int(tls["PORT"])
    url, blindly = f"https://127.0.0.1:{port}/health/live", ssl._create_unverified_context()
    with orders_api(tmp_path, **tls, MAX_CONNECTIONS=str(most)) as log, ExitStack() as stack:
        wait_until(lambda: https_answers(url, blindly), 20, "it answers", log.read_text)
        first, *_ = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
            for _ in range(most + 1)
        ]
        assert first.recv(1) == b""
        assert https_answers(url, blindly)


def test_refused_clients_that_do_not_end_tls_take_no_more_files(tmp_path: Path) -> None:
    most = 5
    tls, health_port = tls_settings(tmp_path), free_port()
    port = int(tls["PORT"])
    bounds = {"HEALTH_PORT": str(health_port), "MAX_CONNECTIONS": str(most)}
    blindly = ssl._create_unverified_context()
    with orders_api(tmp_path, **tls, **bounds), ExitStack() as stack:
        before = open_files(health_port)
        for _ in range(10 * most):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
            with suppress(OSError):  # it was ended
                stack.enter_context(blindly.wrap_socket(client))
        assert open_files(health_port) <= before + 2 * most


def test_connections_leave_files_for_health_where_few_are_allowed(tmp_path: Path) -> None:
    port, health_port = free_port(), free_port()
    few = "sh", "-c", 'ulimit -n 300 && exec "$@"', "sh"
    ports = {"PORT": str(port), "HEALTH_PORT": str(health_port)}
    with orders_api(tmp_path, few, **ports) as log, ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
        assert open_files(health_port) < 300
        assert "fewer connections are allowed" in log.read_text()


@contextmanager
def connected_to_tls(folder: Path) -> Iterator[socket.socket]:
    """A connection to an API with TLS, on which nothing was sent."""
    tls = tls_settings(folder)
    with (
        orders_api(folder, **tls),
        socket.create_connection(("127.0.0.1", int(tls["PORT"])), timeout=20) as connection,
    ):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield connection


def test_records_without_content_end_the_connection(tmp_path: Path) -> None:
    """Those of a handshake count, too."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl._create_unverified_context().wrap_bio(incoming, outgoing)
    with suppress(ssl.SSLWantReadError):
        client.do_handshake()
    hello = outgoing.read()[5:]
    assert len(hello) > MOST_EMPTY_RECORDS
    with connected_to_tls(tmp_path) as connection:
        for byte in hello[:MOST_EMPTY_RECORDS]:
            connection.sendall(b"\x16\x03\x01\x00\x01" + bytes([byte]))
        with suppress(ConnectionResetError):
            assert connection.recv(1) == b""


GET = b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n"
POST = b"POST /none HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\n\r\n["


@pytest.mark.parametrize("number", [1, 2, 30], ids=["free", "waiting", "refused"])
def test_a_client_renews_its_keys_a_few_times_only(tmp_path: Path, number: int) -> None:
    """Between parts of a request, while requests wait for others, and after a refusal."""
    context = ssl._create_unverified_context()
    context.keylog_filename = str(tmp_path / "keys")
    with connected_to_tls(tmp_path) as connection:
        client = context.wrap_socket(connection)
        records = Records(tmp_path / "keys", client)
        sent = [records.data(POST * number)]
        for byte in GET:
            sent += records.renewals(MOST_EMPTY_RECORDS - 1), records.data(bytes([byte]))
        received = b""
        with suppress(ConnectionError), socket.socket(fileno=client.detach()) as plain:
            plain.settimeout(20)
            plain.sendall(b"".join(sent))  # unless it is disconnected before that is done
            with suppress(OSError):
                plain.shutdown(socket.SHUT_WR)
            while part := plain.recv(65_536):
                received += part
        assert answers(received) <= MOST_EMPTY_RECORDS


def test_records_may_arrive_in_any_pieces(tmp_path: Path) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl._create_unverified_context().wrap_bio(incoming, outgoing)
    with connected_to_tls(tmp_path) as connection:

        def tried(step: Callable[[], Any]) -> Any:
            while True:
                with suppress(ssl.SSLWantReadError):
                    return step()
                for byte in outgoing.read():
                    connection.sendall(bytes([byte]))
                incoming.write(connection.recv(65_536))

        tried(client.do_handshake)
        for byte in GET * 3:
            client.write(bytes([byte]))
        got = b""
        while got.count(b"HTTP/1.1 200") < 3:
            got += tried(lambda: client.read(65_536))


def test_clients_that_do_not_end_tls_do_not_delay_the_end(tmp_path: Path) -> None:
    tls = tls_settings(tmp_path)
    port = int(tls["PORT"])
    blindly = ssl._create_unverified_context()
    with ExitStack() as stack:
        with orders_api(tmp_path, **tls):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
            tls_client = stack.enter_context(blindly.wrap_socket(client))
            tls_client.sendall(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n")
            assert tls_client.recv(12) == b"HTTP/1.1 200"
            begun = time.monotonic()
        assert time.monotonic() - begun < GRACE_SECONDS / 2


def test_files_of_tls_that_do_not_fit_are_one_line(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    certificate, _ = authority.issue_files()
    _, other = authority.issue_files()
    for settings, named in (
        ({"TLS_CERTIFICATE": certificate, "TLS_KEY": other}, "TLS_CERTIFICATE"),
        ({"TLS_CERTIFICATE": certificate}, "TLS_CERTIFICATE"),
        ({"TLS_CERTIFICATE": str(tmp_path / "none")}, "TLS_CERTIFICATE"),
        ({"TLS_CERTIFICATE": certificate, "TLS_KEY": str(tmp_path / "none")}, "TLS_KEY"),
        ({"TLS_KEY": other}, "TLS_KEY"),
    ):
        ended = subprocess.run(
            [sys.executable, "-m", "orders", "api", "--memory"],
            env=environment(**settings, PORT=str(free_port())),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert ended.returncode == 2
        first, last = ended.stderr.splitlines()
        assert first.startswith(f"orders: ORDERS_HTTP_{named}: ")
        assert "orders config --help" in last


def test_an_open_api_says_so_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    new_key(path, "orders:read")
    protected = {"AUTH": "keys", "KEYS_FILE": str(path)}
    for settings, is_warned in (
        ({"HOST": "0.0.0.0"}, True),
        ({"HOST": "127.0.0.1"}, False),
        ({"HOST": "0.0.0.0", **protected}, False),
    ):
        with orders_api(tmp_path, **settings, PORT=str(free_port())) as log:
            lines = [json.loads(line) for line in log.read_text().splitlines()]
        warned = [line for line in lines if line["event"] == "anybody may read and send orders"]
        assert bool(warned) is is_warned
        assert all(line["level"] == "warning" for line in warned)


# --- the client library ------------------------------------------------------------------------


def test_the_client_library(tmp_path: Path) -> None:
    path, port = tmp_path / "keys.json", free_port()
    everything, reading = new_key(path, *SCOPES)[1], new_key(path, "orders:read")[1]
    settings = {"AUTH": "keys", "KEYS_FILE": str(path), "PORT": str(port)}
    uids = [f"uid {number}/\u00e9" for number in range(5)] + ["."]
    with orders_api(tmp_path, **settings):
        url = f"http://127.0.0.1:{port}"
        with OrdersClient(url, key=everything) as client, OrdersClient(url) as stranger:
            wait_until(client.is_ready, 20, "it is ready")
            orders = [order(uid, track_number="mine") for uid in uids]
            assert client.publish(orders) == tuple(uids)
            assert [client.wait_until_stored(uid) for uid in uids] == orders
            listed = client.list(track_number="mine", page_size=2)
            assert {one.order_uid for one in listed} == set(uids)
            assert len(client.random(3)) == 3
            with pytest.raises(InvalidOrders) as invalid:
                client.publish([orders[0], {"order_uid": ""}])
            assert {fault.pointer for fault in invalid.value.faults} >= {"/1/order_uid"}
            client.forget(uids[0])
            with pytest.raises(NotFound):
                client.get(uids[0])
            with pytest.raises(Unauthorized):
                stranger.get(uids[1])
            with OrdersClient(url, key=reading) as reader, pytest.raises(Forbidden):
                reader.publish(orders)


def test_the_client_library_keeps_to_a_limit(tmp_path: Path) -> None:
    port = free_port()
    with orders_api(tmp_path, PORT=str(port), RATE_LIMIT="2/second"):
        with OrdersClient(f"http://127.0.0.1:{port}", attempts=20) as patient:
            for _ in range(6):
                with pytest.raises(NotFound):
                    patient.get("uid")
        with OrdersClient(f"http://127.0.0.1:{port}", attempts=1) as hasty:

            def ask_often() -> None:
                for _ in range(100):
                    with suppress(NotFound):
                        hasty.get("uid")

            with pytest.raises(RateLimited):
                ask_often()
