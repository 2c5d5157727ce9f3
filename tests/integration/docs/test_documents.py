"""The commands in README and docs do what is said there, one after the other, on real servers."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orders.domain.order.document import encode
from orders.entrypoints.http.docs.openapi.examples import ORDER, ORDER_JSON
from tests.commands import DOCUMENTS, ROOT, Command, commands
from tests.integration.system.conftest import system_environment  # noqa: F401
from tests.integration.system.processes import System, free_port, system

TO_RUN = {
    document: [command for command in commands(document) if not command.not_run]
    for document in DOCUMENTS
}
_STATUS = re.compile(r"(\d{3})(?::|$)")
_PRINTED = re.compile(r"^print\(.*\)  # (.*)$", re.MULTILINE)
_ORDER_UID = re.compile(r'"order_uid": ?"(\w+)"')
_VOLATILE = (
    (re.compile(r"[0-9a-f]{64}"), "N"),
    (re.compile(r"\d+(?:[.:-]\d+)*"), "N"),
    (re.compile(r"\b[kKMG]i?B\b"), "B"),
)


class Terminal:
    """Somebody who types what a document says, with the addresses of a system of the test."""

    def __init__(self, running: System, health_port: int) -> None:
        self.running = running
        self._names = {
            running.environment["ORDERS_KAFKA_GROUP"]: "orders-group",
            running.dlq_topic: "orders.dlq",
            running.topic: "orders",
        }
        self._addresses = {
            "127.0.0.1:8080": f"127.0.0.1:{running.port}",
            "127.0.0.1:8081": f"127.0.0.1:{health_port}",
            "127.0.0.1:9092": running.bootstrap,
            "postgresql://orders@127.0.0.1:5432/orders": shlex.quote(
                running.environment["ORDERS_POSTGRES_DSN"]
            ),
            "redis://127.0.0.1:6379/0": shlex.quote(running.environment["ORDERS_REDIS_URL"]),
            'produce("orders"': f'produce("{running.topic}"',
            ".venv/bin/": f"{sys.prefix}/bin/",
            "sleep 1": "sleep 3",  # the machine may be busy with something else
            "time.sleep(1)": "time.sleep(3)",
        }
        clean = {name: value for name, value in os.environ.items() if name[:7] != "ORDERS_"}
        self._environment = clean | {
            **running.environment,
            "ORDERS_LOG_LEVEL": "error",
            "PATH": f"{sys.prefix}/bin:{os.environ['PATH']}",
            "COLUMNS": "80",
        }

    def follow(self, command: Command) -> str:
        """Type it; asserts that it does what the document says, and returns what was printed."""
        if command.is_python:
            said = self._run([sys.executable, "-c", self._here(command.text)])
            expected = _PRINTED.findall(command.text)
            assert expected, "it shows nothing"
            assert said.splitlines() == expected
            return said
        if command.text == "orders doctor" and command.output:
            self._leave_five_messages()
        code = int(any("✗ problem" in line for line in command.output))
        said = self._run(["bash", "-o", "pipefail", "-c", self._here(command.text)], code)
        if status := _STATUS.match(command.comment):
            assert re.search(rf"^HTTP/1\.[01] {status[1]} ", said, re.MULTILINE), said
        got = {_lasting(line) for line in self._as_written(said).splitlines()}
        for line in command.output:
            assert line.strip() == "..." or _lasting(line) in got, f"{line}\n{said}"
        return said

    def _run(self, words: list[str], code: int = 0) -> str:
        done = subprocess.run(
            words,
            env=self._environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def _here(self, text: str) -> str:
        for written, here in self._addresses.items():
            text = text.replace(written, here)
        return text

    def _as_written(self, text: str) -> str:
        for here, written in self._names.items():
            text = text.replace(here, written)
        return text

    def _leave_five_messages(self) -> None:
        """As it was when the document was written: nobody reads, and what was replayed is back."""
        self.running.dead_letters(5)
        assert self.running.stop("consumer") == 0
        self.running.send(*(order(f"waits {i}") for i in range(5)))


def _lasting(line: str) -> str:
    """A line of output without what is different each time."""
    for pattern, instead in _VOLATILE:
        line = pattern.sub(instead, line)
    return " ".join(line.split())


def order(order_uid: str, **changes: Any) -> bytes:
    return json.dumps(ORDER_JSON | {"order_uid": order_uid} | changes).encode()


@pytest.fixture
def terminal(
    system_environment: dict[str, str],  # noqa: F811
    tmp_path: Path,
) -> Iterator[Terminal]:
    """Both processes, and the three dead letters that docs/operating.md shows."""
    health = free_port()
    more = {"ORDERS_CONSUMER_HEALTH_PORT": str(health)}
    with system(system_environment | more, tmp_path) as running:
        running.start("consumer")
        running.start_api()
        wrong = ORDER_JSON | {"order_uid": "b2"}
        wrong["payment"] = ORDER_JSON["payment"] | {"amount": "1817"}
        wrong["delivery"] = ORDER_JSON["delivery"] | {"name": "Test Testov"}
        running.send(
            order("b1"),
            order("b1", entry="other"),
            b"[" + order("b0") + b"," + json.dumps(wrong, indent=1).encode() + b"]",
            b'{"order_uid": "b3"',
        )
        running.dead_letters(3)
        yield Terminal(running, health)


@pytest.mark.parametrize(
    "document",
    [document for document, found in TO_RUN.items() if found],
    ids=lambda document: document.name,
)
@pytest.mark.timeout(240)
def test_commands_do_what_is_said(document: Path, terminal: Terminal) -> None:
    random: set[str] = set()
    for command in TO_RUN[document]:
        said = terminal.follow(command)
        if "/random/" in command.text:
            random = set(_ORDER_UID.findall(said))
            assert len(random) == 3
        elif "orders?limit=3" in command.text and random:
            assert set(_ORDER_UID.findall(said)) == random


def test_the_order_of_the_first_steps_is_the_one_of_the_api() -> None:
    sent = json.loads((ROOT / "tests" / "data" / "order.json").read_bytes())
    assert sent["order_uid"] == ORDER.order_uid
    assert list(sent) == list(json.loads(encode(ORDER)))
