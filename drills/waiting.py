"""Waiting for a condition, with a deadline."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(
    ask: Callable[[], T | None],
    seconds: float,
    what: str,
    log: Callable[[], str] = str,
    *,
    pause: float = 0.02,
) -> T:
    """Call ``ask`` until its result is true, and return that.

    Raises:
        AssertionError: it was not true in time; with the last result and ``log``.
    """
    deadline = time.monotonic() + seconds
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what} (last: {answer!r})\n{log()}")
        time.sleep(pause)
