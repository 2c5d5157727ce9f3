"""Finds free TCP ports on the loopback interface."""

import random
import socket
from collections.abc import Collection, Iterable

LOOPBACK = "127.0.0.1"
# Below the ephemeral ports (from 32768 on Linux, 49152 on macOS), so that no outgoing connection
# takes a port between choosing it and listening on it.
_FREE_RANGE = range(20_000, 32_000)
_CONNECT_SECONDS = 0.5


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen on `port` of `host` now.

    Some systems let a socket bind to one address while another listens on all of them, so a
    connection is attempted too.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return not answers(port, host)


def answers(port: int, host: str = LOOPBACK) -> bool:
    """Whether something accepts connections on `port` of `host`."""
    try:
        with socket.create_connection((host, port), timeout=_CONNECT_SECONDS):
            return True
    except OSError:
        return False


def choose(preferred: Iterable[int] = (), taken: Collection[int] = ()) -> int:
    """Choose a free port: the first of `preferred` that is free, else any.

    Args:
        preferred: ports to try first, in this order.
        taken: ports that are reserved already.

    Raises:
        OSError: none of hundreds of ports is free.
    """
    candidates = random.sample(_FREE_RANGE, 500)
    for port in (*preferred, *candidates):
        if port not in taken and is_free(port):
            return port
    raise OSError("no free TCP port was found on 127.0.0.1")
