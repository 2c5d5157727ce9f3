"""The folder that one local system keeps all its data in."""

import fcntl
import json
import os
from pathlib import Path
from typing import TextIO

from orders_dev.errors import UsageError

_STATE = "orders-dev.json"
_LOG_KEPT_BYTES = 10_000_000
_OURS = {_STATE, "lock", ".gitignore"}


class DataFolder:
    """A data folder, held by one process at a time.

    Args:
        path: where it is; made when missing, by `acquire`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._lock: TextIO | None = None

    @property
    def logs(self) -> Path:
        """The folder of the log files."""
        return self.path / "logs"

    def acquire(self) -> None:
        """Make the folder if need be and lock it, until the end of this process at the latest.

        Raises:
            UsageError: another process holds it, or it is somebody else's folder.
        """
        self._check_whose()
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Not inherited by children: a child that outlives us must not keep the next run out.
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
            if log.stat().st_size > _LOG_KEPT_BYTES:
                log.replace(log.with_suffix(".log.old"))

    def release(self) -> None:
        """Let another process have it."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def remembered_ports(self) -> dict[str, int]:
        """The ports of the last run by the name of what listened there; empty if unknown."""
        try:
            ports = json.loads((self.path / _STATE).read_text("utf-8"))["ports"]
            return {str(name): int(port) for name, port in ports.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}

    def remember_ports(self, ports: dict[str, int]) -> None:
        """Keep `ports` for the next run."""
        state = self.path / _STATE
        new = state.with_suffix(".new")
        new.write_text(json.dumps({"ports": ports}, indent=2) + "\n", "utf-8")
        new.replace(state)

    def _check_whose(self) -> None:
        if not self.path.exists():
            return
        if not self.path.is_dir():
            raise UsageError(f"{self.path} is not a folder.")
        names = {entry.name for entry in self.path.iterdir()}
        if names - _OURS and _STATE not in names:
            raise UsageError(
                f"{self.path} holds other things and was not made by `orders dev`.",
                "Choose a new or empty folder with --data.",
            )
