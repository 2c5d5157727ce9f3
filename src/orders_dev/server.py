"""The base class of the embedded servers."""

import glob
import os
import shutil
import signal
from abc import ABC, abstractmethod
from collections.abc import Collection
from pathlib import Path

from orders_dev.errors import ChildError
from orders_dev.orphan_cleanup import StopStep, reclaim
from orders_dev.process import ChildProcess, Launch, run_tool
from orders_dev.requirements import check_machine

READY_SECONDS = 60.0
_TOOL_SECONDS = 120.0


class Server(ABC):
    """A server as a child process with a data folder, listening on 127.0.0.1 only.

    Args:
        folder: the data folder; created if missing, used by one server at a time.
        port: the TCP port to listen on.
        log: the log file; by default beside the data folder.
    """

    #: Its name in messages.
    title: str
    #: Signals to stop it, in turn, before SIGKILL.
    stop_steps: Collection[StopStep] = (StopStep(signal.SIGTERM, 15.0),)
    #: Sent by the kernel when this process ends.
    death_signal: signal.Signals = signal.SIGTERM

    def __init__(self, folder: Path, port: int, log: Path | None = None) -> None:
        self.folder = folder.absolute()
        self.port = port
        self.log = (log or self.folder.with_name(self.folder.name + ".log")).absolute()
        self._child: ChildProcess | None = None

    @property
    def address(self) -> str:
        """`host:port` that clients connect to."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        """The server's process id, or None before `start`."""
        return self._child.pid if self._child else None

    @property
    def running(self) -> bool:
        """Whether the server's process runs."""
        return self._child is not None and self._child.running

    def start(self, seconds: float = READY_SECONDS) -> None:
        """Create the data folder if it is missing, start the server, and wait until it is ready.

        A server that a killed run has left on this folder is ended first. May be called from any
        thread.

        Args:
            seconds: the most to wait for the started server.

        Raises:
            DevError: it cannot run on this machine, ended unexpectedly, or was not ready in
                time; it has been stopped.
        """
        check_machine()
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        self.end_orphan()
        self._prepare()
        self._child = ChildProcess(self._server_launch(), self._record)
        try:
            self._child.start()
            self._child.wait_until(self._is_ready, seconds)
            self._after_start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server or its preparation; may be called at any time."""
        if self._child is not None:
            self._child.stop()

    def end_orphan(self) -> None:
        """End the server that a killed run has left on this data folder."""
        reclaim(self._record, tuple(self.stop_steps))

    def erase(self) -> None:
        """Delete the data folder and the files beside it; ends an orphan first."""
        self.end_orphan()
        for path in self.folder.parent.glob(f"{glob.escape(self.folder.name)}*"):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    def ended(self) -> ChildError:
        """The error for a server that ended unexpectedly."""
        assert self._child is not None, "start() comes first"
        return self._child.ended()

    @property
    def _record(self) -> Path:
        return self.folder.with_name(self.folder.name + ".process.json")

    @abstractmethod
    def _prepare(self) -> None:
        """Prepare the data folder for a start; no server is running on it."""

    @abstractmethod
    def _server_launch(self) -> Launch:
        """How to run the server."""

    @abstractmethod
    def _is_ready(self) -> bool:
        """Whether it serves clients now; returns quickly, and False for transient errors."""

    def _after_start(self) -> None:  # noqa: B027
        """Finish the preparation that needs the running server."""

    def _launch(
        self,
        argv: Collection[str],
        environment: dict[str, str],
        *,
        folder: Path | None = None,
        wrapper: Collection[str] = (),
        name: str = "",
    ) -> Launch:
        return Launch(
            name=name or self.title,
            argv=tuple(argv),
            folder=folder or self.folder,
            log=self.log,
            environment=environment,
            wrapper=tuple(wrapper),
            death_signal=self.death_signal,
            stop_steps=tuple(self.stop_steps),
        )

    def _run_tool(self, launch: Launch) -> None:
        def remember(child: ChildProcess) -> None:
            self._child = child

        run_tool(launch, _TOOL_SECONDS, remember)


def inherited_environment(*without: str) -> dict[str, str]:
    """This process's environment without the variables with one of the given prefixes."""
    return {name: value for name, value in os.environ.items() if not name.startswith(without)}
