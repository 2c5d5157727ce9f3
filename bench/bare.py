"""The limit of reads: an ASGI application that does nothing but send the same answer.

The same headers as well, for the server takes its time for each.

On granian with the product's settings: one worker, HTTP/1.1 only, the same event loop.
"""

import http.client
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels
from granian.server import MPServer

from bench.place import ROOT, Place, check
from drills.waiting import wait_until
from tests.integration.system.processes import free_port

Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = Sequence[tuple[bytes, bytes]]

_OF_THE_SERVER = {"server", "date", "connection", "transfer-encoding"}


class Bare:
    """Answers everything with the same bytes."""

    def __init__(self, body: bytes, headers: Headers) -> None:
        self._start = {"type": "http.response.start", "status": 200, "headers": headers}
        self._body = {"type": "http.response.body", "body": body, "more_body": False}

    async def __call__(self, scope: dict[str, Any], receive: object, send: Send) -> None:
        if scope["type"] != "http":
            return
        await send(self._start)
        await send(self._body)


def _load(file: Path) -> Bare:
    headers, _, body = file.read_bytes().partition(b"\n\n")
    named = (line.partition(b": ") for line in headers.split(b"\n"))
    return Bare(body, [(name, value) for name, _, value in named])


def serve(file: Path, port: int) -> None:
    """Serve until SIGTERM."""
    server = MPServer(
        target="",
        address="127.0.0.1",
        port=port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        websockets=False,
        workers=1,
        log_level=LogLevels.warning,
    )
    server.serve(target_loader=partial(_load, file), wrap_loader=False)


@contextmanager
def bare(place: Place, like: int, target: str) -> Iterator[tuple[int, int]]:
    """Such a server for the block: its port, and the id of its process.

    ``like``: the port of the product, whose answer to GET of ``target`` it sends.
    """
    headers, body = _answer(like, target)
    file = place.folder / place.new_name("bare")
    file.write_bytes(b"\n".join(b"%s: %s" % each for each in headers) + b"\n\n" + body)
    port = free_port()
    argv = [sys.executable, "-m", "bench.bare", str(file), str(port)]
    process = subprocess.Popen(argv, cwd=ROOT, start_new_session=True)
    try:
        wait_until(lambda: _answers(port, (headers, body)), 20, "the bare application answers")
        yield port, process.pid
        check(process.poll() is None, "the bare application has ended")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def _answers(port: int, expected: tuple[Headers, bytes]) -> bool:
    try:
        return _answer(port, "/orders/any") == expected
    except OSError:
        return False


def _answer(port: int, target: str) -> tuple[Headers, bytes]:
    """What is sent on GET: the headers that the application gives, and the body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", target)
        answer = connection.getresponse()
        headers = [
            (name.lower().encode(), value.encode())
            for name, value in answer.getheaders()
            if name.lower() not in _OF_THE_SERVER
        ]
        return headers, answer.read()
    finally:
        connection.close()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
