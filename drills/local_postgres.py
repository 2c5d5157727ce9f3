"""A PostgreSQL server of this machine that somebody else has started, such as a Citus worker."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg

from drills.waiting import wait_until

_SECONDS = 60


class LocalPostgres:
    """What ``Harmed`` is for a server of the drills.

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
        """Start it unless it runs, and wait until it answers."""
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
        wait_until(self._answers, _SECONDS, "PostgreSQL answers")

    def _unlock(self) -> None:
        """Remove the lock files of a killed run: its process exists until somebody waits for it."""
        with suppress(FileNotFoundError):
            lines = self._lock_file.read_text().splitlines()
            port, sockets = lines[3:5]
            Path(sockets, f".s.PGSQL.{port}.lock").unlink(missing_ok=True)
            self._lock_file.unlink()

    def stop(self) -> None:
        """Stop it in good order."""
        self.thaw()
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End all its processes by SIGKILL, as a machine does that loses its power."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Stop all its processes: connections stay, answers do not come."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """End the freeze, if there is one."""
        self._signal(signal.SIGCONT)

    def heal(self) -> None:
        """Have it up, whatever was done to it."""
        self.thaw()
        self.start()

    def _end(self, number: signal.Signals) -> None:
        pids = list(self._processes())
        # The first process first: it would treat the death of another as a crash, and restart it.
        for pid in pids if number is signal.SIGKILL else pids[:1]:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        wait_until(lambda: not any(map(_runs, pids)), _SECONDS, "PostgreSQL has ended")

    def _signal(self, number: signal.Signals) -> None:
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
            if _runs(pid):
                return pid
        return None

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.dsn, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


def _runs(pid: int) -> bool:
    """Whether there is such a process; one that has ended and was not waited for does not run."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
