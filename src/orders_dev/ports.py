"""Finds free TCP ports on the loopback interface."""

import fcntl
import random
import socket
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import TextIO

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


class Claims:
    """Ports that this process has chosen, so that another `orders dev` does not choose them too.

    A port is free until its server listens, which takes seconds. The claims end with this process.

    Args:
        folder: where the claims of this user are; created if missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._locks: list[TextIO] = []

    def __call__(self, port: int) -> bool:
        """Claim `port`; False if another process has claimed it."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = (self._folder / str(port)).open("a")
        except OSError:  # where nothing can be written there are no claims
            return True
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return False
        self._locks.append(lock)
        return True

    def release(self) -> None:
        """End all claims."""
        while self._locks:
            self._locks.pop().close()


def choose(
    preferred: Iterable[int] = (),
    taken: Collection[int] = (),
    claim: Callable[[int], bool] = lambda _port: True,
) -> int:
    """Choose a free port: the first of `preferred` that is free, else any.

    Args:
        preferred: ports to try first, in this order.
        taken: ports that are reserved already.
        claim: called with a free port; False if it may not be had.

    Raises:
        OSError: none of hundreds of ports is free.
    """
    candidates = random.sample(_FREE_RANGE, 500)
    for port in (*preferred, *candidates):
        if port not in taken and is_free(port) and claim(port):
            return port
    raise OSError("no free TCP port was found on 127.0.0.1")
