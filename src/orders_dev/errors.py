"""What can go wrong with the local servers, said so that a person can act on it."""


class DevError(Exception):
    """Something on this machine keeps the local system from running.

    Attributes:
        message: what is wrong, in one sentence.
        advice: what to do about it; empty where the message says it all.
    """

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(f"{message}\n{advice}" if advice else message)
        self.message = message
        self.advice = advice


class UsageError(DevError):
    """The command was asked for something it cannot do here: wrong option, setting or platform."""


class ChildError(DevError):
    """A child process did not start, did not become ready, or ended by itself."""
