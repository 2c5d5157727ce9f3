"""A serving program as a child process."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from tests.integration.system.processes import SOURCES, free_port
from tests.waiting import wait_until

ROOT = Path(__file__).parents[3]
PROGRAM = Path(__file__).with_name("serving.py")
START_SECONDS = 20.0


class ServerProcess:
    """``program`` in one scenario, in a process group of its own, logging to a file.

    ``tls``: files of the certificate and of its key; ``health_port``: of its application, which
    does not listen there.
    """

    def __init__(
        self,
        folder: Path,
        scenario: str = "normal",
        *,
        workers: int = 1,
        grace: int = 3,
        port: int | None = None,
        health_port: int | None = None,
        program: Path = PROGRAM,
        tls: tuple[str, str] | None = None,
    ) -> None:
        self.port = port or free_port()
        self._log = folder / f"{scenario}-{self.port}-{time.monotonic_ns()}.log"
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"
        self.http = httpx.Client(base_url=self.url, timeout=20, verify=not tls)
        given = {"TLS_CERTIFICATE": tls[0], "TLS_KEY": tls[1]} if tls else {}
        if health_port:
            given["HEALTH_PORT"] = str(health_port)
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, program, str(self.port), str(workers), str(grace), scenario],
                env=os.environ | {"PYTHONPATH": SOURCES} | given,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        self.wait_until(self.answers, START_SECONDS, "it answers")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.http.close()
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    @property
    def log(self) -> str:
        return self._log.read_text()

    def aborted(self) -> int:
        """The number of connections that it has aborted."""
        numbers = re.findall(r'{"number":(\d+),.*"event":"connections aborted"', self.log)
        return sum(map(int, numbers))

    def answers(self) -> bool:
        assert self.process.poll() is None, self.log
        try:
            return self.http.get("/health/live", timeout=2).status_code == 200
        except httpx.TransportError:
            return False

    def worker_ids(self) -> set[int]:
        """Ids of the processes that serve: the children, or the only process itself."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return set(map(int, children.read_text().split())) or {self.process.pid}

    def wait_until(self, ask: Callable[[], bool], seconds: float, what: str) -> None:
        wait_until(ask, seconds, what, lambda: self.log)

    def exit_code(self, seconds: float = 15) -> int:
        """How it ended, once it has; fails when it has not within ``seconds``."""
        return self.process.wait(seconds)

    def stop(self, by: signal.Signals = signal.SIGTERM, seconds: float = 15) -> int:
        self.process.send_signal(by)
        return self.exit_code(seconds)
