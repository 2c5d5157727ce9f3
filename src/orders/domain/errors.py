"""The errors of the domain.

``code`` is stable and meant for programs. The text is safe to show to anyone: it has no value of an
order, no address and no secret.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import ClassVar

from orders.domain.intake.faults import Fault


class OrdersError(Exception):
    """The base class of all errors that this service raises on purpose."""

    code: ClassVar[str] = "internal"


class Invalid(OrdersError):
    """The input breaks rules; a retry cannot help."""

    code = "invalid"

    def __init__(self, message: str, faults: Sequence[Fault] = ()) -> None:
        super().__init__(message)
        self.faults = tuple(faults)


class Undecodable(Invalid):
    """The input is not JSON in UTF-8."""

    code = "undecodable"


class TooLarge(Invalid):
    """An order is larger than is stored, or than the topic accepts."""

    code = "too-large"


class NotFound(OrdersError):
    """The order, dead letter or topic does not exist."""

    code = "not-found"


class Abandoned(OrdersError):
    """The caller has left before anything was done."""

    code = "abandoned"


class DamagedOrder(OrdersError):
    """A stored order has lost a part; an operator has to act."""

    code = "damaged"


class Unavailable(OrdersError):
    """A required server is down or too slow; a later retry is safe and may help.

    ``since`` is when that began, if known. ``found``: the documents by order_uid that a look-up has
    found all the same, where a part of the store is down.
    """

    code = "unavailable"

    def __init__(
        self,
        message: str,
        since: datetime | None = None,
        found: Mapping[str, bytes] = MappingProxyType({}),
    ) -> None:
        super().__init__(message)
        self.since = since
        self.found = found


class Overloaded(Unavailable):
    """Too much is asked of this process at a time; a later retry is safe and may help."""

    code = "overloaded"


class Misconfigured(Unavailable):
    """A server denies this process a right that it needs; it passes when an operator grants it."""

    code = "misconfigured"


class Unsupported(OrdersError):
    """The store cannot do this at all."""

    code = "unsupported"


class Degraded(OrdersError):
    """A dependency works, but an operator should know something about it."""

    code = "degraded"


class UnsuitableDatabase(OrdersError):
    """The database cannot hold orders; an operator has to act."""

    code = "unsuitable-database"


class UnknownSchema(UnsuitableDatabase):
    """The database has a newer schema than this version knows; an operator has to act."""

    code = "unknown-schema"
