"""A PostgreSQL server of this machine that somebody else has started, such as a Citus worker."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg

from drills.harmed import Harmed
from drills.waiting import wait_until
from orders_dev.identity import identity
from orders_dev.postgres import accepts_connections

_SECONDS = 60


class LocalPostgres(Harmed):
    """See ``Harmed``; all its processes are frozen, and killed, as a machine loses its power.

    Takes the command and the user from the running process, so that it can be started again.
    """

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        with psycopg.connect(dsn) as connection:
            [(folder,)] = connection.execute("SELECT current_setting('data_directory')")
        self._folder = Path(folder)
        self._lock_file = self._folder / "postmaster.pid"
        process = Path("/proc", str(self._pid()))
        self._program = process.joinpath("exe").readlink()
        self._argv = process.joinpath("cmdline").read_bytes().rstrip(b"\0").split(b"\0")
        self._environment = dict(
            entry.split(b"=", 1)
            for entry in process.joinpath("environ").read_bytes().rstrip(b"\0").split(b"\0")
        )
        self._user, self._group = process.stat().st_uid, process.stat().st_gid

    def start(self) -> None:
        """See ``Harmed.start``."""
        if self._pid() is None:
            self._unlock()
            with self._folder.with_name(self._folder.name + ".log").open("ab") as log:
                subprocess.Popen(
                    self._argv,
                    executable=self._program,
                    env=self._environment,
                    user=self._user,
                    group=self._group,
                    extra_groups=[],
                    cwd=self._folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        wait_until(lambda: accepts_connections(self.dsn), _SECONDS, "PostgreSQL answers")

    def _unlock(self) -> None:
        """Remove the lock files of a killed run: its process exists until somebody waits for it."""
        with suppress(FileNotFoundError):
            lines = self._lock_file.read_text().splitlines()
            port, sockets = lines[3:5]
            Path(sockets, f".s.PGSQL.{port}.lock").unlink(missing_ok=True)
            self._lock_file.unlink()

    def stop(self) -> None:
        """See ``Harmed.stop``."""
        self.thaw()
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """See ``Harmed.kill``."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        pids = list(self._processes())
        # The first process first: it would treat the death of another as a crash, and restart it.
        for pid in pids if number is signal.SIGKILL else pids[:1]:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        wait_until(lambda: not any(map(identity, pids)), _SECONDS, "PostgreSQL has ended")

    def send(self, number: signal.Signals) -> None:
        """See ``Harmed.send``."""
        for pid in self._processes():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _processes(self) -> Iterator[int]:
        """Its first process, and those that this has started."""
        first = self._pid()
        if first is not None:
            yield first
            children = Path(f"/proc/{first}/task/{first}/children").read_text()
            yield from map(int, children.split())

    def _pid(self) -> int | None:
        with suppress(FileNotFoundError):
            pid = int(self._lock_file.read_text().partition("\n")[0])
            if identity(pid):
                return pid
        return None
