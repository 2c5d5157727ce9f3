"""`orders api` and `orders consumer` as processes, started as users start them."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bench.place import Place, check
from tests.integration.system.processes import free_port

START_SECONDS = 60.0
_STOP_SECONDS = 15.0
_REST_SECONDS = 0.3
_PAUSE = 0.005


class Running:
    """One process of the product, or of what it stands beside, with its children.

    ``began`` is when it was started.
    """

    def __init__(
        self, command: str, environment: Mapping[str, str], log: Path, argv: Sequence[str] = ()
    ) -> None:
        self.command = command
        self.environment = dict(environment)
        self._log = log
        self.was_killed = False
        self._good_ends = (0, -signal.SIGTERM) if argv else (0,)
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("ORDERS_")}
        with log.open("wb") as out:
            self.began = time.perf_counter()
            self.process = subprocess.Popen(
                argv or [sys.executable, "-m", "orders", command],
                env=inherited | self.environment,
                stdout=out,
                stderr=out,
                cwd=log.parent,
                start_new_session=True,
            )

    @property
    def port(self) -> int:
        """Where the API listens."""
        return int(self.environment["ORDERS_HTTP_PORT"])

    def wait_until(
        self,
        ready: Callable[[], bool],
        what: str,
        pause: float = _PAUSE,
        seconds: float = START_SECONDS,
    ) -> float:
        """Wait for it; returns the seconds since the start of the process."""
        while True:
            if ready():
                return time.perf_counter() - self.began
            self.check_running()
            problem = f"{self.command}: not {what} within {seconds:g} s"
            check(time.perf_counter() - self.began < seconds, problem)
            time.sleep(pause)

    def check_running(self) -> None:
        """Raise unless it runs."""
        code = self.process.poll()
        check(code is None, f"{self.command} ended with {code}:\n{self.log()[-2_000:]}")

    def log(self) -> str:
        """What it has logged."""
        return self._log.read_text(errors="replace")

    def logged(self, event: str) -> Iterator[dict[str, Any]]:
        """The lines of its log with this event."""
        for line in self.log().splitlines():
            with suppress(ValueError):
                found = json.loads(line)
                if isinstance(found, dict) and found.get("event") == event:
                    yield found

    def pids(self) -> dict[str, int]:
        """Its processes by their kind: itself, and its workers if those are processes."""
        own = self.process.pid
        # A helper of Python's multiprocessing is no process that serves.
        workers = [pid for pid in children(own) if "resource_tracker" not in _command_line(pid)]
        if not workers:
            return {self.command: own}
        return {"api main": own} | {f"api worker {n}": pid for n, pid in enumerate(workers, 1)}

    def give_weight(self) -> None:
        """Give it three times the weight of others, as ``CPUWeight=300`` of its systemd unit does.

        Linux divides processors by sessions, and each process here is one.
        """
        with suppress(OSError):  # it takes rights, and a kernel with this feature
            for pid in self.pids().values():
                Path(f"/proc/{pid}/autogroup").write_text("-5")

    def stop(self) -> None:
        """Stop it as an operator does; it must end with 0 (uvicorn ends by the signal)."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(_STOP_SECONDS)
        check(code in self._good_ends, f"{self.command} ended with {code}:\n{self.log()[-2_000:]}")

    def kill(self) -> None:
        """End it and its children as the kernel does that has no memory left."""
        self.was_killed = True
        # All of them, for workers outlive a main process that is killed by a second.
        for pid in self.pids().values():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


def _command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


def memory(pid: int) -> dict[str, float]:
    """What a process holds now, and the most that it has held, in MB of a million bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    names = {"rss": "VmRSS", "peak": "VmHWM"}
    held = {name: int(found[field].split()[0]) * 1024 / 1e6 for name, field in names.items()}
    with suppress(OSError):  # not everybody may look
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        pss = next(line for line in rollup.splitlines() if line.startswith("Pss:"))
        held["pss"] = int(pss.split()[1]) * 1024 / 1e6
    return held


def cpu_seconds(pids: Iterable[int]) -> float:
    """The time of processors that these processes have taken so far."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def children(pid: int) -> list[int]:
    """The processes that this one has started."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def forget_peak(pid: int) -> None:
    """Have the most that it has held count from now on."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


@contextmanager
def running(
    place: Place, command: str, environment: Mapping[str, str], argv: Sequence[str] = ()
) -> Iterator[Running]:
    """Run it for the block, and stop it, unless it was killed meanwhile."""
    log = place.folder / f"{place.new_name(command.replace(' ', '-'))}.log"
    made = Running(command, environment, log, argv)
    try:
        yield made
        if not made.was_killed:
            made.check_running()
            made.stop()
    finally:
        if made.process.poll() is None:
            made.kill()


@contextmanager
def api(place: Place, dsn: str, topic: str = "", **more: str) -> Iterator[Running]:
    """An API that is ready, and has done besides what it does in its beginning."""
    environment = place.environment(dsn, topic, ORDERS_HTTP_PORT=str(free_port()), **more)
    with running(place, "api", environment) as made:
        made.wait_until(lambda: is_ready(made.port), "ready")
        time.sleep(_REST_SECONDS)
        yield made


@contextmanager
def consumer(place: Place, dsn: str, topic: str, **more: str) -> Iterator[Running]:
    """A consumer that has been started, no more."""
    with running(place, "consumer", place.environment(dsn, topic, **more)) as made:
        yield made


def is_assigned(made: Running) -> bool:
    """Whether a consumer has joined its group and been given partitions."""
    return any(line.get("partitions") for line in made.logged("partitions assigned"))


def is_ready(port: int) -> bool:
    """Whether GET /health/ready says 200 on this port."""
    try:
        return get(port, "/health/ready")[0] == 200
    except OSError:
        return False


def get(port: int, target: str) -> tuple[int, bytes]:
    """One GET on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", target)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
