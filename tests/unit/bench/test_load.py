"""The load generator counts right responses and reports wrong ones."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from bench.load import Spec, run

BODIES = {"/orders/a": b'{"order_uid":"a"}', "/orders/b": b'{"order_uid":"b","more":1}'}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = BODIES.get(self.path)
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_arguments: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """The generator goes in the middle of an answer: no news."""


@contextmanager
def serving() -> Iterator[int]:
    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def load(
    folder: Path, targets: list[str], bodies: list[bytes] | None, status: int = 200, **more: Any
) -> Any:
    (folder / "targets").write_text("\n".join(targets))
    if bodies:
        (folder / "bodies").write_bytes(b"\n".join(bodies))
    with serving() as port:
        return run(
            Spec(
                port,
                str(folder / "targets"),
                str(folder / "bodies") if bodies else "",
                status=status,
                **({"seconds": 0.1, "warm_up": 0.02, "connections": 3} | more),
            )
        )


@pytest.mark.parametrize("bodies", [None, list(BODIES.values())])
def test_right_answers_are_counted(tmp_path: Path, bodies: list[bytes] | None) -> None:
    found = load(tmp_path, list(BODIES), bodies)
    assert not found["failures"]
    assert 0 < found["requests"] < found["asked"]
    assert 0 < found["p50"] <= found["p99"]
    assert found["rate"] > 0
    assert found["cpu"] > 0


def test_no_more_is_asked_than_the_rate_says(tmp_path: Path) -> None:
    found = load(tmp_path, list(BODIES), list(BODIES.values()), rate=100)
    assert not found["failures"]
    # In 0.12 s and for as long as the machine kept the generator from its work.
    assert 0 < found["requests"] <= found["asked"]
    assert found["rate"] <= 1.5 * 100


def test_waiting_for_a_connection_counts(tmp_path: Path) -> None:
    # Asked for far more than the server can do: each request waits longer than the one before.
    # In a shorter time a busy machine might serve too few for that.
    found = load(tmp_path, list(BODIES), None, rate=1e6, seconds=1)
    assert not found["failures"]
    assert found["p50"] > 3 / found["rate"]


@pytest.mark.parametrize("connections", [1, 3, 10])
def test_each_target_is_asked_for_once(tmp_path: Path, connections: int) -> None:
    """Of eight only the last two are wrong."""
    targets, bodies = list(BODIES) * 4, list(BODIES.values()) * 4
    once: dict[str, Any] = {
        "once": True,
        "seconds": 60.0,
        "warm_up": 0.0,
        "connections": connections,
    }
    found = load(tmp_path, targets, bodies, **once)
    assert (found["asked"], found["requests"], found["failures"]) == (8, 8, [])
    failures = load(tmp_path, targets, [*bodies[:6], b"1", b"2"], **once)["failures"]
    assert sorted(failure.partition(":")[0] for failure in failures) == [
        repr(target.encode()) for target in BODIES
    ]


def test_an_answer_that_was_asked_for_may_be_404(tmp_path: Path) -> None:
    assert not load(tmp_path, ["/orders/none"], None, status=404)["failures"]


@pytest.mark.parametrize(
    ("targets", "bodies", "failure"),
    [
        (["/orders/none"], None, "404"),
        (["/orders/a"], [b'{"order_uid":"A"}'], "200"),
        (["/orders/a", "/orders/a"], [b'{"order_uid":"a"}', b"other"], "200"),
    ],
)
def test_wrong_responses_are_reported(
    tmp_path: Path, targets: list[str], bodies: list[bytes] | None, failure: str
) -> None:
    failures = load(tmp_path, targets, bodies)["failures"]
    assert failures
    assert failure in failures[0]
