"""Runs the servers and the processes until asked to stop or one of them ends."""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext

from rich.console import Console
from rich.text import Text

from orders.config import Settings
from orders_dev import apps, banner, download_progress
from orders_dev.data_folder import DataFolder
from orders_dev.dev_stack import DevStack
from orders_dev.errors import ChildError
from orders_dev.jars import JarCache, read_lock, user_cache
from orders_dev.log_follower import LogFollower
from orders_dev.process import ChildProcess
from orders_dev.server import Server

_READY_SECONDS = 90.0
_POLL_SECONDS = 0.1


class Stopped(Exception):
    """Asked to stop before everything was up."""


class Supervisor:
    """Runs the local system on one data folder.

    Args:
        data: the folder, acquired by this process.
        settings: the user's settings; servers with an address there are not started.
        environment: the environment for the children.
        console: for output to the user.
        stop: set from outside to stop everything.
        demo: made-up orders to send a second; None for none.
    """

    def __init__(
        self,
        data: DataFolder,
        settings: Settings,
        environment: Mapping[str, str],
        console: Console,
        stop: threading.Event,
        *,
        demo: float | None = None,
    ) -> None:
        self._data = data
        self._settings = settings
        self._environment = environment
        self._console = console
        self._stop = stop
        self._demo = demo
        self._servers: list[Server] = []
        self._apps: list[ChildProcess] = []
        self._follower = LogFollower(
            {name: data.logs / f"{name}.log" for name in (*apps.NAMES, apps.DEMO)},
            self._show_log_line,
        )

    def run(self, stack: DevStack) -> None:
        """Start everything, show the banner, and return once `stop` is set and all has ended.

        Args:
            stack: the servers on their ports, none of them started.

        Raises:
            DevError: something did not start or ended unexpectedly; the rest has been stopped.
        """
        jars = JarCache(
            user_cache(), progress=download_progress.progress_on(self._console, self._check)
        )
        self._follower.start()
        try:
            servers = stack.servers_needed(self._settings)
            if stack.kafka in servers:
                jars.classpath(read_lock())
            self._start_servers(servers)
            self._start_apps(stack)
            banner.show(self._console, stack, self._settings)
            self._watch()
        except Stopped:
            self._say("Stopping before everything was up ...")
        else:
            self._say("Stopping ...")
        finally:
            self._stop_all()
            self._follower.stop()
        self._say(f"Stopped. The data stay in {self._data.path}")

    def _start_servers(self, servers: list[Server]) -> None:
        self._servers = servers
        if not servers:
            return
        names = ", ".join(server.title for server in servers)
        with (
            self._busy(f"Starting {names} ..."),
            ThreadPoolExecutor(len(servers), thread_name_prefix="start") as pool,
        ):
            starts = [pool.submit(server.start) for server in servers]
            try:
                while any(not start.done() for start in starts):
                    self._check()
                    for start in starts:
                        if start.done():
                            start.result()
                    wait(starts, timeout=_POLL_SECONDS)
                for start in starts:
                    start.result()
            except BaseException:
                # Repeatedly: a start that is between two of its steps has no process to stop.
                while any(not start.done() for start in starts):
                    for server in servers:
                        server.stop()
                    wait(starts, timeout=_POLL_SECONDS)
                raise

    def _start_apps(self, stack: DevStack) -> None:
        environment = stack.child_environment(self._environment, self._settings)
        if self._console.is_terminal:
            # They write to files, but the lines are shown to a person here.
            environment.setdefault("ORDERS_LOG_FORMAT", "console")
        for name in apps.NAMES:
            child = apps.app(name, environment, self._data.logs, self._data.path)
            child.start()
            self._apps.append(child)
        with self._busy("Starting the consumer and the API ..."):
            self._wait_for("The API", lambda: apps.is_ready(stack.url(self._settings)))
            if not self._settings.kafka_bootstrap:
                bootstrap, group = stack.kafka.bootstrap, self._settings.kafka_group
                self._wait_for("The consumer", lambda: apps.has_joined(bootstrap, group))
        if self._demo:
            rate = f"--rate={self._demo}"
            demo = apps.app(apps.DEMO, environment, self._data.logs, self._data.path, rate)
            demo.start()
            self._apps.append(demo)

    def _wait_for(self, what: str, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while not ready():
            self._check()
            self._check_children()
            if time.monotonic() > deadline:
                raise ChildError(
                    f"{what} was not ready within {_READY_SECONDS:.0f} s.",
                    f"The logs are in {self._data.logs}",
                )
            self._stop.wait(_POLL_SECONDS)

    def _watch(self) -> None:
        while not self._stop.wait(_POLL_SECONDS):
            self._check_children()

    def _check(self, _arrived: int = 0) -> None:
        if self._stop.is_set():
            raise Stopped

    def _check_children(self) -> None:
        children: list[ChildProcess | Server] = [*self._apps, *self._servers]
        for child in children:
            if not child.running:
                raise child.ended()

    def _stop_all(self) -> None:
        """Stop the processes, then the servers they use; each group in parallel."""
        for group in (self._apps, self._servers):
            threads = [threading.Thread(target=child.stop) for child in group]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    def _show_log_line(self, name: str, line: str) -> None:
        text = Text.assemble((f"{name:<8} | ", "cyan"), Text.from_ansi(line))
        self._console.print(text, soft_wrap=True, highlight=False)

    def _busy(self, text: str) -> AbstractContextManager[object]:
        if self._console.is_terminal:
            return self._console.status(text)
        self._say(text)
        return nullcontext()

    def _say(self, text: str) -> None:
        self._console.print(Text(text), soft_wrap=True)
