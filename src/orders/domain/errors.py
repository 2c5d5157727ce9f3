"""Everything that can go wrong, in the domain's words.

One root; its kinds are all that callers need to tell apart. ``code`` is stable and made for
programs; the text is safe to show to anybody: no value of an order, no address, no secret.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from orders.domain.intake.faults import Fault


class OrdersError(Exception):
    """The root of all errors that this service raises on purpose."""

    code: ClassVar[str] = "internal"


class Invalid(OrdersError):
    """What was given breaks rules; repeating it cannot help."""

    code = "invalid"

    def __init__(self, message: str, faults: Sequence[Fault] = ()) -> None:
        super().__init__(message)
        self.faults = tuple(faults)


class Undecodable(Invalid):
    """What was given is not JSON in UTF-8."""

    code = "undecodable"


class TooLarge(Invalid):
    """One order is larger than the topic takes."""

    code = "too-large"


class NotFound(OrdersError):
    """No such order, dead letter or topic."""

    code = "not-found"


class Unavailable(OrdersError):
    """A server that is needed is down or too slow; repeating it later is safe and may help.

    ``since`` says when that began, where it is known.
    """

    code = "unavailable"

    def __init__(self, message: str, since: datetime | None = None) -> None:
        super().__init__(message)
        self.since = since


class UnknownSchema(OrdersError):
    """The database has a schema that this version does not know; only an operator can help."""

    code = "unknown-schema"
