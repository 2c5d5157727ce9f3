"""Life and death of the serving processes."""

import json
import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from orders_dev.identity import identity
from tests.integration.http.server_process import ServerProcess
from tests.integration.http.serving import SECRET

pytestmark = pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks into /proc")


def get_in_background(server: ServerProcess, path: str) -> threading.Thread:
    def get() -> None:
        with suppress(httpx.TransportError):  # that it is cut off is the point
            httpx.get(server.url + path, timeout=60)

    thread = threading.Thread(target=get, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
def test_stops_when_asked(tmp_path: Path, by: signal.Signals) -> None:
    with ServerProcess(tmp_path, workers=2) as server:
        workers = server.worker_ids()
        assert len(workers) == 2
        # One that has not opened yet has nothing to close; the first answer was the other's.
        server.wait_until(lambda: server.log.count("opened") == 2, 10, "both workers are open")
        assert server.stop(by, seconds=3) == 0
        assert not any(map(identity, workers))
        assert server.log.count("closed in order") == 2


def test_frozen_workers_hold_the_end_up_for_the_grace_alone(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, workers=3, grace=1) as server:
        workers = server.worker_ids()
        for worker in workers:
            os.kill(worker, signal.SIGSTOP)
        assert server.stop(seconds=10) == 0
        assert not any(map(identity, workers))


def test_stops_when_asked_while_the_workers_are_being_started(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, workers=8)
    try:
        # Not every few milliseconds: all of them have started by then.
        while server.worker_ids() == {server.process.pid}:
            assert server.process.poll() is None, server.log
        assert server.stop(seconds=10) == 0
    finally:
        with suppress(ProcessLookupError):  # else workers would go on without it
            os.killpg(server.process.pid, signal.SIGKILL)


def test_what_is_there_from_the_start_is_not_searched_for_garbage(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        assert httpx.get(server.url + "/orders/set%20apart").json()["number"] > 10_000


def test_stops_when_the_terminal_interrupts_all_of_its_group(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, workers=2) as server:
        os.killpg(server.process.pid, signal.SIGINT)
        assert server.exit_code(seconds=10) == 0


@pytest.mark.parametrize("path", ["/orders/slow", "/orders/stuck"])
def test_a_request_in_hand_holds_the_end_up_for_the_grace_alone(tmp_path: Path, path: str) -> None:
    with ServerProcess(tmp_path, grace=2) as server:
        waiting = get_in_background(server, path)
        server.wait_until(lambda: f"began {path}" in server.log, 5, "the request has come in")
        (worker,) = server.worker_ids()
        began = time.monotonic()
        assert server.stop(seconds=8) == 0
        assert 1.5 < time.monotonic() - began < 6
        assert not identity(worker)
        waiting.join(5)
        assert not waiting.is_alive()


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
def test_requests_in_hand_are_answered(tmp_path: Path, by: signal.Signals) -> None:
    with ServerProcess(tmp_path, grace=8) as server:
        path = "/orders/takes a while"
        with ThreadPoolExecutor(4) as clients:
            answers = [clients.submit(httpx.get, server.url + path, timeout=20) for _ in range(4)]
            server.wait_until(lambda: server.log.count(f"began {path}") == 4, 5, "all are in hand")
            os.killpg(server.process.pid, by)  # as a terminal does
            assert server.exit_code() == 0
            assert [answer.result().status_code for answer in answers] == [404] * 4


def test_workers_end_with_a_main_process_that_is_killed(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, workers=2, grace=1) as server:
        workers = server.worker_ids()
        stuck = get_in_background(server, "/orders/stuck")
        server.wait_until(lambda: "began /orders/stuck" in server.log, 5, "the request is in")
        server.process.kill()
        server.process.wait()
        server.wait_until(
            lambda: not any(map(identity, workers)), 10, "all workers have ended, the stuck too"
        )
        stuck.join(5)
        with ServerProcess(tmp_path, port=server.port) as next_one:
            assert next_one.http.get("/orders/o1").status_code == 200


def test_a_taken_port(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as first:
        second = ServerProcess(tmp_path, port=first.port)
        assert second.exit_code() == 1
        (line,) = map(json.loads, second.log.splitlines())
        assert (line["event"], line["level"]) == ("cannot listen", "critical")
        assert (line["port"], line["reason"]) == (first.port, "Address already in use")
        assert first.answers()


def test_a_port_taken_by_a_stranger(tmp_path: Path) -> None:
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        server = ServerProcess(tmp_path, port=stranger.getsockname()[1])
        assert server.exit_code() == 1
        assert "Traceback" not in server.log


def test_a_port_for_health_checks_that_another_api_has(tmp_path: Path) -> None:
    with socket.socket() as workers_of_another:
        workers_of_another.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        workers_of_another.bind(("127.0.0.1", 0))
        workers_of_another.listen()
        port = workers_of_another.getsockname()[1]
        server = ServerProcess(tmp_path, workers=2, health_port=port)
        assert server.exit_code() == 1
        (line,) = map(json.loads, server.log.splitlines())
        assert (line["event"], line["port"]) == ("cannot listen", port)
        assert line["reason"] == "Address already in use"


@pytest.mark.parametrize(
    ("scenario", "code"),
    [
        ("wrong configuration", 2),
        ("cannot be made", 1),
        ("unknown schema", 2),
        ("broken lifespan", 1),
        ("gives up later", 2),
    ],
)
def test_a_worker_that_gives_up_ends_all(tmp_path: Path, scenario: str, code: int) -> None:
    server = ServerProcess(tmp_path, scenario, workers=2)
    assert server.exit_code() == code
    assert "never retrieved" not in server.log
    assert scenario == "gives up later" or '"event":"listening"' not in server.log
    assert SECRET not in server.log
    assert "hunter2" not in server.log
    assert all(
        json.loads(line)["event"] for line in server.log.splitlines() if line.startswith("{")
    )


def test_a_worker_that_is_killed_ends_all(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, workers=2) as server:
        one, other = server.worker_ids()
        os.kill(one, signal.SIGKILL)
        assert server.exit_code() == 1
        assert not identity(other)
