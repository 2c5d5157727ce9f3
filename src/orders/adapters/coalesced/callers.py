"""Those who wait for answers, and how they are told."""

import asyncio
from collections.abc import Iterable
from typing import NamedTuple

from orders.domain.errors import OrdersError, Unavailable


class Caller(NamedTuple):
    """Somebody who waits for a flight with one uid since then, and what he is told in the end.

    A failure is told as a result: of a caller that was cancelled nobody would retrieve it.
    """

    answer: "asyncio.Future[bytes | Exception | None]"
    since: float


class Aboard(NamedTuple):
    """Who waits for a uid that is in a flight: since before it left, and since then."""

    early: list[Caller]
    late: list[Caller]


Flight = dict[str, Aboard]
"""What is asked for in one question, by uid."""


def tell_all(callers: Iterable[Caller], told: bytes | Exception | None) -> None:
    """Have them go on, but for those who were cancelled."""
    for caller in callers:
        if not caller.answer.done():
            caller.answer.set_result(told)


def fail_all(many: Iterable[Iterable[Caller]], failure: Exception) -> None:
    """Tell all of them that it failed."""
    for callers in many:
        tell_all(callers, failure)


def as_own(failure: Exception) -> OrdersError:
    """One of a caller's own: raised by many tasks, the same one would gather the traces of all."""
    if isinstance(failure, Unavailable):
        return Unavailable(str(failure), failure.since)
    return OrdersError("a look-up has failed")
