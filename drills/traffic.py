"""Orders onto the topic, by a client that is not ours."""

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any

from confluent_kafka import KafkaError, Message, Producer

from drills.expectations import Document, Expected, Good, Ledger
from orders.adapters.random_orders.order_generator import RandomOrderGenerator
from orders.domain.order.document import encode

FLUSH_SECONDS = 90.0
"""Long enough for a broker that is down meanwhile."""


class Traffic:
    """Sends, and notes in the ledger what the brokers have acknowledged."""

    def __init__(self, bootstrap: str, topic: str, ledger: Ledger, rng: Random) -> None:
        self._topic = topic
        self._ledger = ledger
        self._rng = Random(rng.random())
        self._generator = RandomOrderGenerator(self._rng)
        self._lock = threading.Lock()
        self._options: dict[str, Any] = {
            "bootstrap.servers": bootstrap,
            "log_level": 0,
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": 5,
            "message.max.bytes": 10_000_000,
            "message.timeout.ms": int(FLUSH_SECONDS * 1000),
            "queue.buffering.max.messages": 1_000_000,
        }
        self._producer = Producer(self._options)

    def orders(self, amount: int) -> list[Document]:
        """That many new valid orders; the same seed makes the same uids."""
        with self._lock:
            made = [json.loads(encode(order)) for order in self._generator.generate(amount)]
            return [order | {"order_uid": f"{self._rng.getrandbits(128):032x}"} for order in made]

    def send(self, value: bytes | None, expected: Sequence[Expected], **to: Any) -> None:
        """Send one message (``key``, ``partition``, ``headers``); does not wait for it."""
        with self._lock:
            self._ledger.expect(value, expected)
        while True:
            try:
                self._producer.produce(
                    self._topic,
                    value,
                    on_delivery=lambda error, _message: self._delivered(error, value, _message),
                    **to,
                )
                break
            except BufferError:
                self._producer.poll(0.1)
        self._producer.poll(0)

    def send_order(self, document: Document, **to: Any) -> None:
        """Send one valid order as a message of its own, keyed by its uid."""
        self.send(
            json.dumps(document).encode(),
            [Good(document)],
            **({"key": document["order_uid"].encode()} | to),
        )

    def send_orders(self, amount: int, *, array: int = 1, **to: Any) -> list[Document]:
        """Send that many new orders, one a message or in arrays; return them when all are safe."""
        left = amount
        sent: list[Document] = []
        while left:
            documents = self.orders(min(left, max(array, 500)))
            left -= len(documents)
            sent += documents
            if array == 1:
                for document in documents:
                    self.send_order(document, **to)
            else:
                for start in range(0, len(documents), array):
                    part = documents[start : start + array]
                    self.send(json.dumps(part).encode(), [Good(each) for each in part], **to)
        self.flush()
        return sent

    @contextmanager
    def flow(self, amount: int, seconds: float, *, array: int = 1) -> Iterator[threading.Event]:
        """Send that many orders evenly over that time, beside what the block does.

        Gives an event that is set when all are sent; the end of the block waits for it.
        """
        done = threading.Event()
        failures: list[BaseException] = []

        def send() -> None:
            try:
                started, sent, step = time.monotonic(), 0, max(array, 50)
                while sent < amount:
                    part = min(step, amount - sent)
                    documents = self.orders(part)
                    for start in range(0, part, array):
                        some = documents[start : start + array]
                        value = some[0] if array == 1 else some
                        self.send(json.dumps(value).encode(), [Good(each) for each in some])
                    sent += part
                    due = started + seconds * sent / amount
                    time.sleep(max(0.0, due - time.monotonic()))
                self.flush()
            except BaseException as error:  # noqa: BLE001 (raised in the block's thread)
                failures.append(error)
            finally:
                done.set()

        thread = threading.Thread(target=send, name="traffic", daemon=True)
        thread.start()
        try:
            yield done
        finally:
            thread.join(seconds + 2 * FLUSH_SECONDS)
        if failures:
            raise failures[0]
        assert done.is_set(), "the traffic did not come to its end"

    @contextmanager
    def through(self, **options: Any) -> Iterator[None]:
        """Send what the block sends through a producer with other options; it is safe in the end.

        Underscores in the names of the options stand for dots.
        """
        self.flush()
        usual = self._producer
        named = {name.replace("_", "."): value for name, value in options.items()}
        self._producer = Producer(self._options | named)
        try:
            yield
            self.flush()
        finally:
            self._producer = usual

    def flush(self) -> None:
        """Wait until all that was sent is acknowledged or given up."""
        left = self._producer.flush(FLUSH_SECONDS)
        assert left == 0, f"{left} messages were never acknowledged"

    def _delivered(self, error: KafkaError | None, value: bytes | None, _message: Message) -> None:
        if error is None:
            with self._lock:
                self._ledger.acknowledged(value)
