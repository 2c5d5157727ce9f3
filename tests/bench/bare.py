"""The limit of reads: an ASGI application that does nothing but send the same bytes.

On granian with the product's settings: one worker, HTTP/1.1 only, the same event loop.
"""

import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels
from granian.server import MPServer

from tests.bench.place import ROOT, Place, check
from tests.integration.system.processes import free_port, wait_until

Send = Callable[[dict[str, Any]], Awaitable[None]]


class Bare:
    """Answers everything with the same bytes."""

    def __init__(self, body: bytes) -> None:
        length = b"%d" % len(body)
        headers = ((b"content-type", b"application/json"), (b"content-length", length))
        self._start = {"type": "http.response.start", "status": 200, "headers": headers}
        self._body = {"type": "http.response.body", "body": body, "more_body": False}

    async def __call__(self, scope: dict[str, Any], receive: object, send: Send) -> None:
        if scope["type"] != "http":
            return
        await send(self._start)
        await send(self._body)


def _load(body: Path) -> Bare:
    return Bare(body.read_bytes())


def serve(body: Path, port: int) -> None:
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
    server.serve(target_loader=partial(_load, body), wrap_loader=False)


@contextmanager
def bare(place: Place, body: bytes) -> Iterator[tuple[int, int]]:
    """Such a server for the block: its port, and the id of its process."""
    file = place.folder / place.new_name("bare")
    file.write_bytes(body)
    port = free_port()
    argv = [sys.executable, "-m", "tests.bench.bare", str(file), str(port)]
    process = subprocess.Popen(argv, cwd=ROOT, start_new_session=True)
    try:
        wait_until(lambda: _answers(port, body), 20, "the bare application answers")
        yield port, process.pid
        check(process.poll() is None, "the bare application has ended")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def _answers(port: int, body: bytes) -> bool:
    from tests.bench.product import get  # noqa: PLC0415 (not needed by the server itself)

    try:
        return get(port, "/orders/any") == (200, body)
    except OSError:
        return False


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
