"""Child processes that end with this process, however it ends."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import BinaryIO

from orders_dev.errors import ChildError
from orders_dev.orphan_cleanup import KILL_SECONDS, StopStep, remember

_EXEC_SCRIPT = Path(__file__).with_name("exec_with_pdeathsig.py")
_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Launch:
    """How to run a program.

    Attributes:
        name: its name in messages.
        argv: program (an absolute path) and arguments.
        folder: the working folder.
        log: file to which both output streams are appended.
        environment: the complete environment of the child.
        wrapper: a program and arguments to prepend, which run the rest as another user.
        death_signal: sent by the kernel if we end without stopping the child.
        stop_steps: signals to stop it, in turn, before SIGKILL.
    """

    name: str
    argv: Sequence[str]
    folder: Path
    log: Path
    environment: Mapping[str, str]
    wrapper: Sequence[str] = ()
    death_signal: signal.Signals = signal.SIGTERM
    stop_steps: Sequence[StopStep] = field(default=(StopStep(signal.SIGTERM, 15.0),))


class _Spawner:
    """Starts every child from one thread that lives as long as the process.

    The kernel sends the parent-death signal when the thread that started the child ends, so a child
    started by a worker thread would be signalled as soon as that ends.
    """

    def __init__(self) -> None:
        self._requests: SimpleQueue[
            tuple[Callable[[], subprocess.Popen[bytes]], Future[subprocess.Popen[bytes]]]
        ] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def start(self, spawn: Callable[[], "subprocess.Popen[bytes]"]) -> "subprocess.Popen[bytes]":
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="spawner", daemon=True)
                self._thread.start()
        answer: Future[subprocess.Popen[bytes]] = Future()
        self._requests.put((spawn, answer))
        return answer.result()

    def _serve(self) -> None:
        while True:
            spawn, answer = self._requests.get()
            try:
                answer.set_result(spawn())
            except OSError as error:
                answer.set_exception(error)


_spawner = _Spawner()


class ChildProcess:
    """A program in a session of its own that logs to a file and ends with this process.

    In its own session it does not get the terminal's Ctrl-C, so it stops only on its own signal.

    Args:
        launch: what to run.
        record: file that identifies the running process, so that a later run can end it if this
            one is killed; none for a program that ends by itself.
    """

    def __init__(self, launch: Launch, record: Path | None = None) -> None:
        self.launch = launch
        self._record = record
        self._process: subprocess.Popen[bytes] | None = None
        self._exit_code: int | None = None
        self._log_start = 0

    @property
    def pid(self) -> int | None:
        """The process id, or None before `start`."""
        return self._process.pid if self._process else None

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self.exit_code is None

    @property
    def exit_code(self) -> int | None:
        """The exit code (minus the signal's number after a signal), or None while it runs."""
        if self._process is not None and self._exit_code is None:
            self._exit_code = _peek_exit_code(self._process)
        return self._exit_code

    def start(self) -> None:
        """Start the program.

        Raises:
            ChildError: it cannot be started at all.
        """
        launch = self.launch
        launch.log.parent.mkdir(parents=True, exist_ok=True)
        argv = [
            *launch.wrapper,
            *(sys.executable, "-I", "-S", str(_EXEC_SCRIPT)),
            *(str(os.getpid()), str(int(launch.death_signal))),
            *launch.argv,
        ]

        def spawn() -> "subprocess.Popen[bytes]":
            with launch.log.open("ab") as log:
                self._log_start = log.tell()
                return subprocess.Popen(  # noqa: S603
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=launch.folder,
                    env=dict(launch.environment),
                    start_new_session=True,
                )

        try:
            self._process = _spawner.start(spawn)
        except OSError as error:
            raise ChildError(f"{launch.name} cannot be started: {error.strerror}") from error
        if self._record:
            remember(self._record, self._process.pid)

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Wait until `ready` returns True.

        Raises:
            ChildError: the program ended, or was not ready in time.
        """
        deadline = time.monotonic() + seconds
        while True:
            if not self.running:
                raise self.ended()
            if ready() and self.running:
                return
            if time.monotonic() > deadline:
                raise ChildError(
                    f"{self.launch.name} was not ready within {seconds:.0f} s.", self._log_advice()
                )
            time.sleep(_POLL_SECONDS)

    def wait(self, seconds: float) -> int:
        """Wait until the program ends, and return its exit code.

        Raises:
            ChildError: it was still running after `seconds` and has been stopped.
        """
        self._wait(seconds)
        code = self.exit_code
        self.stop()
        if code is None:
            raise ChildError(
                f"{self.launch.name} was not done within {seconds:.0f} s.", self._log_advice()
            )
        return code

    def stop(self) -> None:
        """Stop the program, by SIGKILL if necessary, and kill the rest of its process group."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        for step in self.launch.stop_steps:
            if not self.running:
                break
            process.send_signal(step.signal)
            self._wait(step.seconds)
        # It leads its group, and its process id is not reused until it is reaped.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(KILL_SECONDS)
        if self._record:
            self._record.unlink(missing_ok=True)

    def _wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self.running and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS / 5)

    def ended(self) -> ChildError:
        """The error for a program that ended unexpectedly."""
        return ChildError(
            f"{self.launch.name} ended by itself (exit code {self.exit_code}).", self._log_advice()
        )

    def tail(self, lines: int = 20) -> str:
        """The last lines that the program wrote since its start."""
        try:
            with self.launch.log.open("rb") as log:
                return _last_lines(log, self._log_start, lines)
        except OSError:
            return ""

    def _log_advice(self) -> str:
        tail = self.tail()
        where = f"Its log: {self.launch.log}"
        return f"{where}\n{tail}" if tail else f"{where} (nothing in it)"


def run_tool(launch: Launch, seconds: float, on_start: Callable[[ChildProcess], None]) -> None:
    """Run a program until it ends.

    Args:
        launch: what to run.
        seconds: the most that it may take.
        on_start: called with the running child, so that others can stop it.

    Raises:
        ChildError: it failed or took too long.
    """
    child = ChildProcess(launch)
    child.start()
    on_start(child)
    if child.wait(seconds) != 0:
        raise child.ended()


def _peek_exit_code(process: "subprocess.Popen[bytes]") -> int | None:
    """The exit code of a child, without reaping it if the system supports that."""
    if process.returncode is not None or not hasattr(os, "waitid"):
        return process.poll()
    seen = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    if seen is None:
        return None
    return seen.si_status if seen.si_code == os.CLD_EXITED else -seen.si_status


def _last_lines(log: BinaryIO, start: int, lines: int) -> str:
    end = log.seek(0, os.SEEK_END)
    log.seek(max(start, end - 200 * lines))
    return "\n".join(log.read().decode("utf-8", "replace").splitlines()[-lines:])
