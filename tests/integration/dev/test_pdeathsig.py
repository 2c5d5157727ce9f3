"""Servers end when the process that started them is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orders_dev import ports
from orders_dev.identity import identity
from orders_dev.kafka import KafkaBroker
from orders_dev.orphan_cleanup import StopStep
from orders_dev.postgres import PostgresServer
from orders_dev.server import Server
from orders_dev.valkey import ValkeyServer
from tests.waiting import wait_until

# From a worker thread that ends at once: the signal must follow the process, not the thread.
PARENT = """
import sys, threading
from pathlib import Path
from tests.integration.dev.test_pdeathsig import make
server = make(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
thread = threading.Thread(target=server.start)
thread.start()
thread.join()
print(server.pid, flush=True)
sys.stdin.read()
"""
SERVERS = ["postgres", "valkey", "kafka"]


def make(kind: str, folder: Path, port: int) -> Server:
    if kind == "postgres":
        return PostgresServer(folder / kind, port)
    if kind == "valkey":
        return ValkeyServer(folder / kind, port)
    return KafkaBroker(folder / kind, port, port + 1)


@pytest.fixture(params=["kernel", "guardian"])
def environment(request: pytest.FixtureRequest) -> dict[str, str]:
    """By the kernel's parent-death signal, and by the way of systems that have none."""
    guardian = {"ORDERS_DEV_GUARDIAN": "1"} if request.param == "guardian" else {}
    return {**os.environ, **guardian}


def children_of(pid: int) -> list[int]:
    return [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text("ascii").split()
    ]


@pytest.mark.parametrize("kind", SERVERS)
def test_a_killed_parent_leaves_no_server_and_nothing_that_blocks_the_next(
    awkward_folder: Path, kind: str, environment: dict[str, str]
) -> None:
    port = ports.choose()
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, kind, str(awkward_folder), str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        cwd=Path(__file__).parents[3],
    )
    with parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        family = [pid, *children_of(pid)]
        assert identity(pid) is not None
        time.sleep(0.2)
        assert identity(pid) is not None, "the thread's end must not end the server"
        parent.kill()

    def has_ended() -> bool:
        return not any(map(identity, family)) and not ports.answers(port)

    wait_until(has_ended, 20, "the server ends with its parent")

    again = make(kind, awkward_folder, port)
    again.start()
    again.stop()


@pytest.mark.parametrize("kind", SERVERS)
def test_a_frozen_orphan_is_ended_by_the_next_start(awkward_folder: Path, kind: str) -> None:
    port = ports.choose()
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, kind, str(awkward_folder), str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    )
    with parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        os.kill(pid, signal.SIGSTOP)  # cannot take its parent-death signal
        parent.kill()
    assert identity(pid) is not None

    again = make(kind, awkward_folder, port)
    again.stop_steps = tuple(StopStep(step.signal, 0.5) for step in again.stop_steps)
    again.start()
    assert identity(pid) is None
    again.stop()
