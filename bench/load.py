"""The load generator: a process of its own, so that nobody else's work holds it up.

Reads what to do as JSON from standard input, and writes what it found to standard output. One
thread, raw sockets and epoll: 10 to 20 us of its time a request, reported as ``cpu``, so that
one can see that it was not what was measured.
"""

import json
import select
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from bench.figures import percentile
from bench.responses import Answer, AnswerReader, BadAnswer

_RECEIVE = 32_768
_PATIENCE_SECONDS = 20.0
_FAILURES = 10
_OK = 200
_REST = b" HTTP/1.1\r\nhost: bench\r\n%s\r\n"


class Spec(NamedTuple):
    """What to do.

    Attributes:
        port: of the server on 127.0.0.1.
        targets: a file with a request target in each line; each request takes one at random.
        bodies: a file with the body of each target in the same line; empty: only looked at by how
            they begin, for orders.
        headers: further lines of each request, each with its end.
        status: what every answer must have.
        seconds: how long to count, after ``warm_up`` seconds that are not counted.
        connections: kept alive, each with one request at a time.
        rate: requests a second in all; 0: each connection asks again at once. A request that should
            have been sent and had to wait for a connection has its waiting in its time.
        once: each target is asked for once, in their order, and then it ends; without ``warm_up``.
        seed: of the choice.
    """

    port: int
    targets: str
    bodies: str = ""
    headers: str = ""
    status: int = 200
    seconds: float = 5.0
    warm_up: float = 1.0
    connections: int = 64
    rate: float = 0.0
    once: bool = False
    seed: int = 1


class _Connection:
    __slots__ = ("asked", "began", "reader", "socket")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.reader = AnswerReader()
        self.asked = 0
        self.began = 0.0


def run(spec: Spec) -> dict[str, Any]:
    """Do it; ``failures`` describes the first wrong responses.

    ``requests`` are those that were counted, ``asked`` all of them.
    """
    return _Run(spec)()


class _Run:
    """One run over the connections."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._targets = Path(spec.targets).read_bytes().splitlines()
        self._bodies = Path(spec.bodies).read_bytes().split(b"\n") if spec.bodies else None
        self._rest = _REST % spec.headers.encode()
        self._chance = Random(spec.seed).random
        self._latencies: list[float] = []
        self._failures: list[str] = []
        self._asked = 0
        self._most = len(self._targets) if spec.once else sys.maxsize
        self._free: list[_Connection] = []
        self._due = 0.0

    def __call__(self) -> dict[str, Any]:
        spec, clock = self._spec, time.perf_counter
        made = [_Connection(spec.port) for _ in range(spec.connections)]
        connections = {connection.socket.fileno(): connection for connection in made}
        poll = select.epoll()
        for number, connection in connections.items():
            poll.register(number, select.EPOLLIN)
            self._go_on(connection)
        self._due = clock()
        self._serve(poll, connections, self._due + spec.warm_up)
        began, cpu, self._latencies = clock(), time.process_time(), []
        self._serve(poll, connections, began + spec.seconds)
        took, cpu = clock() - began, time.process_time() - cpu
        for connection in made:
            connection.socket.close()
        latencies = self._latencies
        return {
            "asked": self._asked,
            "requests": len(latencies),
            "rate": len(latencies) / took,
            "p50": percentile(latencies, 0.5) if latencies else None,
            "p99": percentile(latencies, 0.99) if latencies else None,
            "cpu": cpu / took,
            "failures": self._failures,
        }

    def _serve(
        self, poll: select.epoll, connections: Mapping[int, _Connection], until: float
    ) -> None:
        """Take answers in, and ask again, until then or until too much goes wrong."""
        clock, latencies = time.perf_counter, self._latencies
        now = clock()
        while now < until and len(self._failures) < _FAILURES and len(latencies) < self._most:
            wait = _PATIENCE_SECONDS
            if self._spec.rate:
                wait = self._ask_due()
                select.select([poll], [], [], wait)  # epoll itself waits for whole milliseconds
            events = poll.poll(0 if self._spec.rate else wait)
            if not events:
                now = clock()
                if wait < _PATIENCE_SECONDS:
                    continue
                self._failures.append(f"no answer within {_PATIENCE_SECONDS:g} s")
                return
            for number, _event in events:
                connection = connections[number]
                try:
                    answer = connection.reader.feed(connection.socket.recv(_RECEIVE))
                except (BadAnswer, OSError) as error:
                    self._fail(connection, str(error))
                    poll.unregister(number)
                    continue
                if answer is not None:
                    now = clock()
                    latencies.append(now - connection.began)
                    self._check(connection, answer)
                    self._go_on(connection)

    def _go_on(self, connection: _Connection) -> None:
        if self._spec.rate:
            self._free.append(connection)
        else:
            self._ask(connection)

    def _ask_due(self) -> float:
        """Send all requests whose time has come; returns the seconds until the next one's."""
        while self._free:
            wait = self._due - time.perf_counter()
            if wait > 0:
                return wait
            connection = self._free.pop()
            self._ask(connection)
            connection.began = self._due
            self._due += 1 / self._spec.rate
        return _PATIENCE_SECONDS

    def _ask(self, connection: _Connection) -> None:
        asked = self._asked if self._spec.once else int(self._chance() * len(self._targets))
        if asked == self._most:
            return  # all have been asked for
        connection.asked = asked
        self._asked += 1
        request = b"GET " + self._targets[asked] + self._rest
        connection.began = time.perf_counter()
        connection.socket.send(request)

    def _check(self, connection: _Connection, answer: Answer) -> None:
        status, body = answer
        if self._bodies is not None:
            is_right = body == self._bodies[connection.asked]
        else:
            uid = self._targets[connection.asked].rpartition(b"/")[2]
            is_right = status != _OK or body.startswith(b'{"order_uid":"' + uid + b'"')
        if status != self._spec.status or not is_right:
            self._fail(connection, f"{status} {body[:80]!r}")

    def _fail(self, connection: _Connection, problem: str) -> None:
        self._failures.append(f"{self._targets[connection.asked]!r}: {problem}")


if __name__ == "__main__":
    json.dump(run(Spec(**json.load(sys.stdin))), sys.stdout)
