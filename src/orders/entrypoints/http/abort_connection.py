"""Aborts the connection of a request, which ASGI cannot express."""

import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

from orders.entrypoints.http.asgi_types import Scope

_OPEN_FILES = Path("/dev/fd")


def abort_connection(scope: Scope) -> bool:
    """Shut down the connection of a request; returns False if it is not found.

    A server that has sent part of a response keeps the rest in memory for as long as the client
    stays connected, even if the client does not read. ASGI does not expose the server's socket, so
    it is searched for among the open files of this process, by the addresses of both ends.
    """
    ends = _end(scope.get("server")), _end(scope.get("client"))
    if None in ends:
        return False
    for file in _OPEN_FILES.iterdir():
        number = int(file.name)
        with suppress(OSError):  # closed in the meantime, or not connected
            if not stat.S_ISSOCK(os.fstat(number).st_mode):
                continue
            with socket.socket(fileno=os.dup(number)) as connection:
                if (_end(connection.getsockname()), _end(connection.getpeername())) == ends:
                    connection.shutdown(socket.SHUT_RDWR)
                    return True
    return False


def _end(address: object) -> tuple[str, str] | None:
    """Host and port of an address of a socket or an ASGI scope; granian gives the port as text."""
    match address:
        case (str(host), int() | str() as port, *_):
            return host, str(port)
        case _:
            return None
