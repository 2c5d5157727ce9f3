"""Errors of the local system, with messages for its user."""


class DevError(Exception):
    """The local system cannot run on this machine.

    Attributes:
        message: what is wrong, in one sentence.
        advice: what to do about it; may be empty.
    """

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(f"{message}\n{advice}" if advice else message)
        self.message = message
        self.advice = advice


class UsageError(DevError):
    """An option, a setting or the platform is not usable."""


class ChildError(DevError):
    """A child process did not start, did not become ready, or ended unexpectedly."""


def of_system(error: OSError) -> DevError:
    """Describe an error of the operating system, such as a full disk or a missing right."""
    place = f"{error.filename}: " if error.filename else ""
    return DevError(
        f"{place}{error.strerror or error}.",
        "Correct that (rights, free space, limits), or choose another folder with --data.",
    )
