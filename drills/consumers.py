"""`orders consumer` as processes that can be killed, frozen and stopped."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

from drills.waiting import wait_until

STOP_SECONDS = 10.0
"""Within which a consumer has to end with 0, whatever is down."""
_ROOT = Path(__file__).parents[1]


class Consumers:
    """Processes by name; each name has one log across restarts."""

    def __init__(self, environment: Mapping[str, str], logs: Path) -> None:
        self.environment = dict(environment)
        self._logs = logs
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._log_begins: dict[str, int] = {}

    @property
    def running(self) -> list[str]:
        """The names of those that run."""
        return [name for name, process in self._running.items() if process.poll() is None]

    def start(
        self, name: str = "one", *, static: bool = False, failpoint: str = "", **more: str
    ) -> None:
        """Start one; ``static`` gives it the name as group instance id.

        ``failpoint``: one of ``drills.failing_consumer``, which then runs instead.
        """
        assert name not in self.running, f"{name} runs already"
        environment = {k: v for k, v in os.environ.items() if not k.startswith("ORDERS_")}
        environment |= self.environment | more
        if static:
            environment["ORDERS_KAFKA_INSTANCE_ID"] = name
        argv = [sys.executable, "-m", "orders", "consumer"]
        if failpoint:
            argv = [sys.executable, "-m", "drills.failing_consumer", failpoint]
            inherited = environment.get("PYTHONPATH", "")
            environment["PYTHONPATH"] = f"{_ROOT}{os.pathsep}{inherited}"
        self._log_begins[name] = len(self.log(name))
        with (self._logs / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                argv,
                env=environment,
                stdout=log,
                stderr=log,
                cwd=self._logs,
                start_new_session=True,
            )

    def kill(self, name: str = "one") -> None:
        """End it by SIGKILL."""
        process = self._running.pop(name)
        process.kill()
        process.wait()

    def send(self, number: signal.Signals, name: str = "one") -> None:
        """Send it a signal, such as SIGSTOP and SIGCONT."""
        self._running[name].send_signal(number)

    def is_stopped(self, name: str = "one") -> bool:
        """Whether SIGSTOP has stopped it, from wherever it came."""
        stat = Path(f"/proc/{self._running[name].pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] == "T"

    def stop(self, name: str = "one", how: signal.Signals = signal.SIGTERM) -> float:
        """Stop it by a signal; asserts that it ends with 0 in time. Returns the seconds it took."""
        process = self._running[name]
        started = time.monotonic()
        process.send_signal(how)
        try:
            code = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{name} still runs {STOP_SECONDS:g} s after {how.name}") from None
        assert code == 0, f"{name} ended with {code} after {how.name}\n{self.tail(name)}"
        del self._running[name]
        return time.monotonic() - started

    def wait(self, name: str, seconds: float) -> int:
        """The exit code of one that ends by itself."""
        code = self._running[name].wait(seconds)
        del self._running[name]
        return code

    def exit_codes(self) -> dict[str, int]:
        """The exit codes of those that ended without being asked to."""
        ended = {name: process.poll() for name, process in self._running.items()}
        return {name: code for name, code in ended.items() if code is not None}

    def log(self, name: str = "one") -> str:
        """All that it has logged."""
        path = self._logs / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def wait_for_start(self, name: str = "one") -> None:
        """Wait until the one that was started last by this name heeds signals."""
        started = '"event":"started"'
        wait_until(
            lambda: started in self.log(name)[self._log_begins[name] :], 30, f"{name} has started"
        )

    def wait_for_partitions(self, name: str = "one") -> None:
        """Wait until the one that was started last by this name has been given partitions."""
        wait_until(
            lambda: any(
                line.get("event") == "partitions assigned" and line.get("partitions")
                for line in self._lines(name, self._log_begins[name])
            ),
            60,
            f"{name} has partitions",
            pause=0.02,
        )

    def partitions(self, name: str = "one") -> list[int]:
        """What the one that was started last by this name was given last; none: nothing yet."""
        given = [
            line["partitions"]
            for line in self._lines(name, self._log_begins[name])
            if line.get("event") == "partitions assigned"
        ]
        return given[-1] if given else []

    def wait_for_all_partitions(self, names: Sequence[str], amount: int) -> None:
        """Wait until these share the partitions, and each has some."""

        def are_shared() -> bool:
            given = [self.partitions(name) for name in names]
            return all(given) and sorted(chain(*given)) == list(range(amount))

        wait_until(are_shared, 60, f"{', '.join(names)} share the partitions")

    def sum_in_log(self, number: str, name: str = "one") -> int:
        """The sum of a number over all lines of its log."""
        return sum(int(line.get(number, 0)) for line in self._lines(name))

    def wait_for_log(self, text: str, seconds: float, name: str = "one") -> None:
        """Wait until it has logged this."""
        wait_until(lambda: text in self.log(name), seconds, f"{name} logs {text!r}")

    def tail(self, name: str = "one", lines: int = 15) -> str:
        """The end of its log."""
        return "\n".join(self.log(name).splitlines()[-lines:])

    def stop_all(self) -> None:
        """Stop all, as ``stop`` does; frozen ones are thawed first."""
        for name in list(self._running):
            self.send(signal.SIGCONT, name)
            self.wait_for_start(name)
            self.stop(name)

    def close(self) -> None:
        """End whatever still runs."""
        for process in self._running.values():
            process.kill()
            process.wait()
        self._running.clear()

    def _lines(self, name: str, begin: int = 0) -> Iterator[dict[str, Any]]:
        for line in self.log(name)[begin:].splitlines():
            with suppress(ValueError):  # the last one may not be whole yet
                found = json.loads(line)
                if isinstance(found, dict):
                    yield found
