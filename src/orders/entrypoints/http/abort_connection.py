"""Ends the connection of a request, which ASGI has no word for."""

import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

from orders.entrypoints.http.asgi_types import Scope

_OPEN_FILES = Path("/dev/fd")


def abort_connection(scope: Scope) -> bool:
    """Cut the connection that this request came by; False where it is not found.

    A server that has sent half an answer holds the rest, and the connection, for as long as the
    other side is there, whether or not that reads. The socket is the server's own, so it is looked
    for among all that this process has open, by the addresses of its two ends.
    """
    ends = _end(scope.get("server")), _end(scope.get("client"))
    if None in ends:
        return False
    for file in _OPEN_FILES.iterdir():
        number = int(file.name)
        with suppress(OSError):  # it was closed meanwhile, or is connected to nobody
            if not stat.S_ISSOCK(os.fstat(number).st_mode):
                continue
            with socket.socket(fileno=os.dup(number)) as line:
                if (_end(line.getsockname()), _end(line.getpeername())) == ends:
                    line.shutdown(socket.SHUT_RDWR)
                    return True
    return False


def _end(address: object) -> tuple[str, str] | None:
    """Host and port of an address as sockets and ASGI give it; granian has the port as text."""
    match address:
        case (str(host), int() | str() as port, *_):
            return host, str(port)
        case _:
            return None
