"""The folder with all data of one local system."""

import fcntl
import json
import os
from pathlib import Path
from typing import TextIO

from orders_dev.errors import UsageError

_STATE = "orders-dev.json"
_MAX_LOG_BYTES = 10_000_000
_OURS = {_STATE, "orders-dev.new", "lock", ".gitignore"}


class DataFolder:
    """A data folder, locked by one process at a time.

    Args:
        path: its path; `acquire` creates it if it is missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._lock: TextIO | None = None

    @property
    def logs(self) -> Path:
        """The folder of the log files."""
        return self.path / "logs"

    def acquire(self) -> None:
        """Create the folder if it is missing, and lock it, at most until this process ends.

        Raises:
            UsageError: another process has locked it, it contains other files, or it cannot be
                written.
        """
        try:
            self._acquire()
        except OSError as error:
            self.release()
            raise UsageError(
                f"{self.path} cannot be used for the data: {error.strerror}.",
                "Make it writable, or choose another folder with --data.",
            ) from None

    def _acquire(self) -> None:
        self._check_contents()
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Not inherited: a child that outlives this process must not block the next run.
        lock = (self.path / "lock").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip()
            lock.close()
            raise UsageError(
                f"Another `orders dev` (process {holder or 'unknown'}) runs on {self.path}.",
                "Stop it first, or choose another folder with --data.",
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock
        (self.path / ".gitignore").write_text("*\n", "utf-8")
        if not (self.path / _STATE).exists():
            self.remember_ports({})
        self.logs.mkdir(exist_ok=True)
        for log in self.logs.glob("*.log"):
            if log.stat().st_size > _MAX_LOG_BYTES:
                log.replace(log.with_suffix(".log.old"))

    def release(self) -> None:
        """Unlock the folder."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def remembered_ports(self) -> dict[str, int]:
        """The ports of the last run by server; empty if unknown."""
        try:
            ports = json.loads((self.path / _STATE).read_text("utf-8"))["ports"]
            return {str(name): int(port) for name, port in ports.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}

    def remember_ports(self, ports: dict[str, int]) -> None:
        """Save `ports` for the next run."""
        state = self.path / _STATE
        new = state.with_suffix(".new")
        new.write_text(json.dumps({"ports": ports}, indent=2) + "\n", "utf-8")
        new.replace(state)

    def _check_contents(self) -> None:
        if not self.path.exists():
            return
        if not self.path.is_dir():
            raise UsageError(f"{self.path} is not a folder.")
        names = {entry.name for entry in self.path.iterdir()}
        if names - _OURS and _STATE not in names:
            raise UsageError(
                f"{self.path} contains other files and was not created by `orders dev`.",
                "Choose a new or empty folder with --data.",
            )
