"""A broker of the tests' own, which they may freeze, kill and start again."""

import os
import signal
from pathlib import Path

from orders_dev import ports
from orders_dev.kafka import KafkaBroker


class OwnBroker:
    """A broker on a port that stays the same; nothing runs at first."""

    def __init__(self, folder: Path) -> None:
        port = ports.choose()
        self._broker = KafkaBroker(folder / "kafka", port, ports.choose(taken={port}))

    @property
    def bootstrap(self) -> str:
        return self._broker.bootstrap

    def start(self) -> None:
        if not self._broker.running:
            self._broker.start()

    def stop(self) -> None:
        self.thaw()
        self._broker.stop()

    def freeze(self) -> None:
        """Stop it in its tracks: connections stay, answers do not come."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once; its data stays."""
        self._signal(signal.SIGKILL)
        self._broker.stop()

    def _signal(self, number: signal.Signals) -> None:
        if self._broker.running and self._broker.pid is not None:
            os.kill(self._broker.pid, number)
