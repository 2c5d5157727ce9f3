"""`orders api` as a process, and what people read through it while servers are harmed."""

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from random import Random
from typing import Any

import httpx

from drills.expectations import Document
from drills.stage import Stage
from drills.stored import as_stored
from tests.integration.system.processes import free_port, system

SLOW_SECONDS = 2.0
"""What no read may take; a machine that does many things at once is given its time."""


class Readers:
    """Reads orders over HTTP, and holds each answer against what was sent."""

    def __init__(self, http: httpx.Client, rng: Random) -> None:
        self._http = http
        self._rng = rng
        self.reads = 0
        self.slowest = 0.0

    def read(self, documents: Sequence[Document], *, unknown: bool = True) -> None:
        """GET each of these, and unless not ``unknown`` one that nobody has sent.

        Raises:
            AssertionError: an answer is late, is not 200 and 404, or is not what was sent.
        """
        for document in documents:
            answer = self._get(document["order_uid"])
            assert answer.status_code == 200, f"{answer.status_code} for a stored order"
            assert as_stored(answer.json()) == as_stored(document), "an order comes out changed"
        if unknown:
            answer = self._get(f"unknown-{self._rng.getrandbits(64)}")
            assert answer.status_code == 404, f"{answer.status_code} for an order that is not there"

    def statuses(self, documents: Sequence[Document]) -> Counter[int]:
        """GET all of these at the same time, and count the statuses of the answers."""
        paths = [f"/orders/{document['order_uid']}" for document in documents]
        with ThreadPoolExecutor(len(paths), "reader") as pool:
            return Counter(answer.status_code for answer in pool.map(self._http.get, paths))

    @contextmanager
    def reading(self, documents: Sequence[Document], *, unknown: bool = True) -> Iterator[None]:
        """Read some of these now and then, beside what the block does; raises what ``read`` does"""
        over = threading.Event()

        def read() -> None:
            while not over.wait(0.05):
                self.read([self._rng.choice(documents)], unknown=unknown)

        with ThreadPoolExecutor(1, "reader") as pool:
            reader = pool.submit(read)
            try:
                yield
            finally:
                over.set()
                reader.result()

    def _get(self, order_uid: str) -> httpx.Response:
        started = time.monotonic()
        answer = self._http.get(f"/orders/{order_uid}")
        took = time.monotonic() - started
        self.reads += 1
        self.slowest = max(self.slowest, took)
        assert took < SLOW_SECONDS, f"a read took {took:.1f} s"
        return answer


@contextmanager
def api(stage: Stage, **more: Any) -> Iterator[Readers]:
    """An API on the stage's servers; it ends with 0."""
    environment = stage.consumers.environment | {"ORDERS_HTTP_PORT": str(free_port())} | more
    with system(environment, stage.folder) as running:
        running.start_api()
        yield Readers(running.http, Random(stage.rng.random()))
        code = running.stop("api")
        assert code == 0, f"the API ended with {code}"
