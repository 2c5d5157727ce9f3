"""The product as its users meet it: `orders api` and `orders consumer` as processes."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from tests.waiting import wait_until

T = TypeVar("T")
START_SECONDS = 30.0
STOP_SECONDS = 10.0
ROOT = Path(__file__).parents[3]
SOURCES = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
"""PYTHONPATH of processes under test: this checkout, whatever the environment has installed."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class System:
    """One API and one consumer on the given servers, each startable and stoppable alone.

    ``wrapper`` is a command that runs the one behind it.
    """

    def __init__(
        self,
        environment: dict[str, str],
        logs: Path,
        module: str = "orders",
        wrapper: Sequence[str] = (),
    ) -> None:
        self.topic = environment["ORDERS_KAFKA_TOPIC"]
        self.dlq_topic = environment["ORDERS_KAFKA_DLQ_TOPIC"]
        self.bootstrap = environment["ORDERS_KAFKA_BOOTSTRAP"]
        self.port = int(environment["ORDERS_HTTP_PORT"])
        self.environment = environment
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=10)
        self._logs = logs
        self._command = (*wrapper, sys.executable, "-m", module)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._producer = Producer({"bootstrap.servers": self.bootstrap})

    def start(self, command: str, **more: str) -> subprocess.Popen[bytes]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("ORDERS_")}
        with (self._logs / f"{command}.log").open("ab") as log:
            process = subprocess.Popen(
                [*self._command, command],
                env=inherited | {"PYTHONPATH": SOURCES} | self.environment | more,
                stdout=log,
                stderr=log,
                cwd=self._logs,
                start_new_session=True,
            )
        self._processes[command] = process
        return process

    def stop(self, command: str, how: signal.Signals = signal.SIGTERM) -> int:
        process = self._processes.pop(command)
        process.send_signal(how)
        return process.wait(STOP_SECONDS)

    def start_api(self, **more: str) -> None:
        self.start("api", **more)
        self.wait_for_api()

    def start_consumer(self, **more: str) -> None:
        """Start it and wait until an order of our own went all the way: it has joined."""
        self.start("consumer", **more)

    def wait_for_api(self, status: int = 200) -> httpx.Response:
        def ask() -> httpx.Response | None:
            try:
                answer = self.http.get("/health/ready")
            except httpx.TransportError:
                return None
            return answer if answer.status_code == status else None

        return wait_until(
            ask, START_SECONDS, f"/health/ready answers {status}", partial(self.log, "api")
        )

    def send(self, *values: bytes | None, key: bytes | None = None, **more: Any) -> None:
        for value in values:
            self._producer.produce(self.topic, value, key=key, **more)
        assert self._producer.flush(10) == 0

    def order(self, order_uid: str, seconds: float = START_SECONDS) -> httpx.Response:
        """GET the order, waiting for it to arrive."""

        def ask() -> httpx.Response | None:
            answer = self.http.get(f"/orders/{order_uid}")
            return answer if answer.status_code == 200 else None

        return wait_until(
            ask, seconds, f"order {order_uid} is served", partial(self.log, "consumer")
        )

    def dead_letters(self, amount: int, seconds: float = START_SECONDS) -> list[Message]:
        """The first ``amount`` dead letters, waiting for them; asserts that there are no more."""
        return self.messages(self.dlq_topic, amount, seconds)

    def messages(self, topic: str, amount: int, seconds: float = START_SECONDS) -> list[Message]:
        """All messages of a topic of one partition, of which there must be ``amount``."""
        consumer = Consumer(
            {"bootstrap.servers": self.bootstrap, "group.id": "reader", "enable.auto.commit": False}
        )
        try:
            consumer.assign([TopicPartition(topic, 0, 0)])
            found: list[Message] = []
            deadline = time.monotonic() + seconds
            while len(found) < amount and time.monotonic() < deadline:
                message = consumer.poll(0.2)
                if message is not None and message.error() is None:
                    found.append(message)
            extra = consumer.poll(0.5)
            assert extra is None or extra.error(), f"one message too many on {topic}"
            assert len(found) == amount, f"{len(found)} of {topic}\n{self.log('consumer')}"
            return found
        finally:
            consumer.close()

    def log(self, command: str) -> str:
        path = self._logs / f"{command}.log"
        return path.read_text() if path.exists() else ""

    def close(self) -> None:
        self.http.close()
        for process in self._processes.values():
            process.kill()
            process.wait()


@contextmanager
def system(environment: dict[str, str], logs: Path, module: str = "orders") -> Iterator[System]:
    """A system of this version, or of the one that ``module`` starts."""
    running = System(environment, logs, module)
    try:
        yield running
    finally:
        running.close()
