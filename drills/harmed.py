"""What a drill may do to a server."""

import signal
from abc import ABC, abstractmethod


class Harmed(ABC):
    """A server to be stopped, killed and frozen; its data and its port stay."""

    @abstractmethod
    def start(self) -> None:
        """Start it unless it runs, and wait until it answers."""

    @abstractmethod
    def stop(self) -> None:
        """Stop it in good order, also if it is frozen."""

    @abstractmethod
    def kill(self) -> None:
        """End it by SIGKILL."""

    @abstractmethod
    def send(self, number: signal.Signals) -> None:
        """Send its processes a signal, if it runs."""

    def freeze(self) -> None:
        """Stop it in its tracks: connections stay, answers do not come."""
        self.send(signal.SIGSTOP)

    def thaw(self) -> None:
        """End the freeze, if there is one."""
        self.send(signal.SIGCONT)

    def heal(self) -> None:
        """Have it up, whatever was done to it."""
        self.thaw()
        self.start()
