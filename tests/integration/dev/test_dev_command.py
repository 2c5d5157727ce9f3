"""`orders dev` as a person uses it: start, use, Ctrl-C, start again; and as an accident treats it.

The servers in these tests are always the embedded ones: they are what is tested.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from orders_dev import ports
from orders_dev.identity import identity
from tests.waiting import wait_until

REPOSITORY = Path(__file__).parents[3]
REFERENCE = json.loads((REPOSITORY / "tests" / "data" / "order.json").read_text("utf-8"))
START_SECONDS = 60.0
STOP_SECONDS = 40.0
pytestmark = pytest.mark.timeout(240)


def family(pid: int) -> set[int]:
    """The process and all below it, whatever session they are in."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                stat = (folder / "stat").read_text("utf-8", "replace")
            except OSError:
                continue
            parents[int(folder.name)] = int(stat.rpartition(")")[2].split()[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


class Dev:
    """One `orders dev` in a session of its own, its terminal's text in a file."""

    def __init__(self, folder: Path, *options: str, **environment: str) -> None:
        self.folder = folder
        self.out = folder / f"terminal-{time.monotonic_ns()}.txt"
        clean = {name: value for name, value in os.environ.items() if "ORDERS_" not in name}
        with self.out.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "orders", "dev", "--data", "data", *options],
                cwd=folder,
                env={**clean, "COLUMNS": "200", **environment},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.family = {self.process.pid}

    @property
    def text(self) -> str:
        return self.out.read_text("utf-8", "replace")

    def wait_until_up(self, seconds: float) -> float:
        begun = time.monotonic()
        wait_until(
            lambda: "orders is up" in self.text or self.process.poll() is not None,
            seconds,
            "orders is up",
        )
        took = time.monotonic() - begun
        assert self.process.poll() is None, self.text
        self.family = family(self.process.pid)
        return took

    def wait_until_ended(self) -> int:
        return self.process.wait(STOP_SECONDS)

    def assert_nothing_left(self) -> None:
        wait_until(
            lambda: not any(identity(pid) for pid in self.family),
            20,
            "the end of every process",
        )

    def child(self, *words: str) -> int:
        """The process below this one whose command line holds all of `words`."""
        for pid in sorted(self.family):
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
            # A server may have put more into its name than its program.
            program = arguments[0].partition(" ")[0].rpartition("/")[2]
            if set(words) <= {program, *arguments}:
                return pid
        raise AssertionError(f"no process with {words}")

    @property
    def url(self) -> str:
        found = re.search(r"http://127\.0\.0\.1:\d+", self.text)
        assert found, self.text
        return found[0]

    @property
    def bootstrap(self) -> str:
        found = re.search(r"(127\.0\.0\.1:\d+), topic", self.text)
        assert found, self.text
        return found[1]

    def order(self, uid: str) -> Any:
        try:
            with urllib.request.urlopen(f"{self.url}/orders/{uid}", timeout=5) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            return None

    def send(self, order: dict[str, Any]) -> None:
        producer = Producer({"bootstrap.servers": self.bootstrap})
        producer.produce("orders", json.dumps(order).encode())
        assert producer.flush(10) == 0


@pytest.fixture
def start(awkward_folder: Path) -> Iterator[Callable[..., Dev]]:
    """Starts `orders dev` in a folder; all that still runs in the end is killed."""
    started: list[Dev] = []

    def start(*options: str, **environment: str) -> Dev:
        environment.setdefault("ORDERS_HTTP_PORT", str(ports.choose()))
        started.append(Dev(awkward_folder, *options, **environment))
        return started[-1]

    yield start
    for dev in started:
        for pid in family(dev.process.pid) if dev.process.poll() is None else []:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        dev.process.wait()


def test_start_use_stop_and_start_again_with_the_data(start: Callable[..., Dev]) -> None:
    dev = start()
    dev.wait_until_up(START_SECONDS)
    dev.send(REFERENCE)
    wait_until(lambda: dev.order(REFERENCE["order_uid"]) == REFERENCE, 2, "the order over HTTP")
    with urllib.request.urlopen(f"{dev.url}/docs", timeout=5) as answer:
        assert answer.status == 200

    dev.process.send_signal(signal.SIGINT)
    assert dev.wait_until_ended() == 0, dev.text
    dev.assert_nothing_left()
    assert "Stopped" in dev.text

    again = start()
    again.wait_until_up(START_SECONDS)
    assert again.bootstrap == dev.bootstrap
    assert again.order(REFERENCE["order_uid"]) == REFERENCE
    again.send({**REFERENCE, "order_uid": "later"})
    wait_until(lambda: again.order("later"), 2, "the later order over HTTP")
    again.process.terminate()
    assert again.wait_until_ended() == 0, again.text
    again.assert_nothing_left()


def test_a_killed_run_leaves_no_process_and_does_not_block_the_next(
    start: Callable[..., Dev],
) -> None:
    dev = start(ORDERS_HTTP_PORT=(port := str(ports.choose())))
    dev.wait_until_up(START_SECONDS)
    dev.send(REFERENCE)
    wait_until(lambda: dev.order(REFERENCE["order_uid"]), 2, "the order over HTTP")
    dev.process.kill()
    dev.process.wait()

    again = start(ORDERS_HTTP_PORT=port)  # at once: what was left behind may still be ending
    again.wait_until_up(START_SECONDS)
    dev.assert_nothing_left()
    assert again.order(REFERENCE["order_uid"]) == REFERENCE
    again.process.terminate()
    assert again.wait_until_ended() == 0, again.text
    again.assert_nothing_left()


def test_a_killed_run_ends_by_itself(start: Callable[..., Dev]) -> None:
    dev = start()
    dev.wait_until_up(START_SECONDS)
    assert len(dev.family) > 5
    dev.process.kill()
    dev.process.wait()
    dev.assert_nothing_left()


@pytest.mark.parametrize("words", [("orders", "consumer"), ("orders", "api"), ("valkey-server",)])
def test_a_child_that_dies_is_named_and_ends_it_all(
    start: Callable[..., Dev], words: tuple[str, ...]
) -> None:
    dev = start()
    dev.wait_until_up(START_SECONDS)
    os.kill(dev.child(*words), signal.SIGKILL)
    assert dev.wait_until_ended() == 1
    dev.assert_nothing_left()
    name = "Valkey" if words == ("valkey-server",) else " ".join(words)
    assert f"{name} ended by itself (exit code -9)" in dev.text
    assert "Its log: " in dev.text


def test_ctrl_c_while_it_starts(start: Callable[..., Dev]) -> None:
    dev = start()
    wait_until(lambda: len(family(dev.process.pid)) > 2, START_SECONDS, "the first server")
    dev.family = family(dev.process.pid)
    dev.process.send_signal(signal.SIGINT)
    assert dev.wait_until_ended() == 0, dev.text
    dev.assert_nothing_left()
    assert "before everything was up" in dev.text


def test_a_second_run_on_the_same_data_is_refused(start: Callable[..., Dev]) -> None:
    first = start()
    wait_until((first.folder / "data" / "logs").exists, START_SECONDS, "the data folder")
    second = start()
    assert second.wait_until_ended() == 2
    assert f"Another `orders dev` (process {first.process.pid})" in second.text
    first.process.terminate()
    assert first.wait_until_ended() == 0


def test_a_taken_port_that_was_asked_for_is_refused_before_anything_starts(
    start: Callable[..., Dev],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        dev = start(ORDERS_HTTP_PORT=str(server.getsockname()[1]))
        assert dev.wait_until_ended() == 2
    assert "is taken by another program" in dev.text
    assert not (dev.folder / "data" / "postgres").exists()


def test_data_that_cannot_be_written_is_two_lines(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "orders", "dev", "--data", "/dev/null/data"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr.splitlines() == [
        "/dev/null/data cannot be used for the data: Not a directory.",
        "Make it writable, or choose another folder with --data.",
    ]


def test_all_invalid_settings_are_reported(start: Callable[..., Dev]) -> None:
    dev = start(ORDERS_HTTP_PORT="x", ORDERS_CACHE_CAPACITY="none")
    assert dev.wait_until_ended() == 2
    assert "ORDERS_HTTP_PORT" in dev.text
    assert "ORDERS_CACHE_CAPACITY" in dev.text
    assert not (dev.folder / "data").exists()


def test_made_up_orders_arrive_at_a_rate(start: Callable[..., Dev]) -> None:
    dev = start("--demo", "20")
    dev.wait_until_up(START_SECONDS)

    def newest() -> Any:
        with urllib.request.urlopen(f"{dev.url}/orders?limit=1000", timeout=10) as answer:
            return json.load(answer)

    wait_until(lambda: len(newest()) > 20, 20, "orders arrive")
    dev.process.send_signal(signal.SIGINT)
    assert dev.wait_until_ended() == 0
    dev.assert_nothing_left()
    assert re.search(r"generate +\| sent [\d,]+ orders to topic orders", dev.text)
