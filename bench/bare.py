"""The limits of a hot GET: servers that do nothing but send the same answer.

The same headers as well, for a server takes its time for each. In Python on granian with the
product's settings, by ASGI and by RSGI: one worker, HTTP/1.1 only, the same event loop. In Go by
net/http, where there is a Go toolchain.
"""

import http.client
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels
from granian.server import MPServer

from bench.place import ROOT, CheckFailed, Place, check
from drills.waiting import wait_until
from tests.integration.system.processes import free_port

ASGI, RSGI, GO = "bare ASGI", "bare RSGI", "net/http in Go"
_INTERFACES = {ASGI: Interfaces.ASGI, RSGI: Interfaces.RSGI}
_GO_SOURCE = Path(__file__).with_name("go_hello") / "main.go"
_OF_THE_SERVER = {"server", "date", "connection", "transfer-encoding"}

Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = Sequence[tuple[bytes, bytes]]


class Answer(NamedTuple):
    """What is sent on GET: the headers that the application gives, and the body."""

    headers: Headers
    body: bytes


class Bare:
    """Answers everything with the same bytes, by either interface."""

    def __init__(self, answer: Answer) -> None:
        headers, self._body = answer
        self._headers = [(name.decode(), value.decode()) for name, value in headers]
        self._start = {"type": "http.response.start", "status": 200, "headers": headers}
        self._rest = {"type": "http.response.body", "body": self._body, "more_body": False}

    async def __call__(self, scope: dict[str, Any], receive: object, send: Send) -> None:
        if scope["type"] != "http":
            return
        await send(self._start)
        await send(self._rest)

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        protocol.response_bytes(200, self._headers, self._body)


def _load(file: Path) -> Bare:
    headers, _, body = file.read_bytes().partition(b"\n\n")
    named = (line.partition(b": ") for line in headers.split(b"\n"))
    return Bare(Answer([(name, value) for name, _, value in named], body))


def serve(file: Path, port: int, kind: str) -> None:
    """Serve until SIGTERM."""
    server = MPServer(
        target="",
        address="127.0.0.1",
        port=port,
        interface=_INTERFACES[kind],
        http=HTTPModes.http1,
        websockets=False,
        workers=1,
        log_level=LogLevels.warning,
    )
    server.serve(target_loader=partial(_load, file), wrap_loader=False)


@contextmanager
def bare(place: Place, kind: str, answer: Answer) -> Iterator[tuple[int, int]]:
    """Such a server for the block: its port, and the id of its process."""
    file = place.folder / place.new_name("bare")
    file.write_bytes(
        b"\n".join(b"%s: %s" % each for each in answer.headers) + b"\n\n" + answer.body
    )
    port = free_port()
    argv = [sys.executable, "-m", "bench.bare", str(file), str(port), kind]
    if kind == GO:
        argv = [str(_built(place)), str(file), f"127.0.0.1:{port}"]
    process = subprocess.Popen(argv, cwd=ROOT, start_new_session=True)
    try:
        try:
            wait_until(lambda: _answers(port, answer), 20, f"{kind} answers")
        except AssertionError as error:
            raise CheckFailed(f"{kind} does not send the answer of the product") from error
        yield port, process.pid
        check(process.poll() is None, f"{kind} has ended")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def go_toolchain() -> str | None:
    """The path of the program `go`, if it is on this machine."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/go/bin"])
    return shutil.which("go", path=path)


def _built(place: Place) -> Path:
    go, program = go_toolchain(), place.folder / "go_hello"
    assert go is not None
    if not program.exists():
        argv = [go, "build", "-o", str(program), str(_GO_SOURCE)]
        subprocess.run(argv, env=os.environ | {"GOFLAGS": ""}, check=True, timeout=300)
    return program


def _answers(port: int, expected: Answer) -> bool:
    try:
        found = answer_of(port, "/orders/any")
    except OSError:
        return False
    # net/http sorts headers by their names.
    return (sorted(found.headers), found.body) == (sorted(expected.headers), expected.body)


def answer_of(port: int, target: str) -> Answer:
    """What the server at this port sends on GET of ``target``."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", target)
        answer = connection.getresponse()
        headers = [
            (name.lower().encode(), value.encode())
            for name, value in answer.getheaders()
            if name.lower() not in _OF_THE_SERVER
        ]
        return Answer(headers, answer.read())
    finally:
        connection.close()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
