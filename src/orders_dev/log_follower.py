"""Follows the log files of child processes."""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

_POLL_SECONDS = 0.15


class LogFollower:
    """Calls a function with the new lines of log files, from a thread of its own.

    The children write to files instead of pipes: if this process is killed, they can still write
    their last lines, where a broken pipe would make them fail.

    Args:
        logs: log files by the name to show; they need not exist yet.
        show: called with the name and a line without its line end.
    """

    def __init__(self, logs: Mapping[str, Path], show: Callable[[str, str], None]) -> None:
        self._show = show
        self._logs = {name: _Growing(path) for name, path in logs.items()}
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="log-follower", daemon=True)

    def start(self) -> None:
        """Start with the lines that are written from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Show the remaining lines and stop."""
        self._done.set()
        self._thread.join(5.0)

    def _follow(self) -> None:
        last_round = False
        while not last_round:
            last_round = self._done.wait(_POLL_SECONDS)
            for name, log in self._logs.items():
                for line in log.new_lines():
                    self._show(name, line)


class _Growing:
    """A file that grows, read line by line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._skip = path.stat().st_size if path.exists() else 0
        self._file: BinaryIO | None = None
        self._rest = b""

    def new_lines(self) -> list[str]:
        if self._file is None:
            try:
                self._file = self._path.open("rb")
            except FileNotFoundError:
                return []
            self._file.seek(self._skip)
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        return [line.decode("utf-8", "replace") for line in lines]
