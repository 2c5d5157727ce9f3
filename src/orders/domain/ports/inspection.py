"""Inspections of servers for operators."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Literal, Protocol

from msgspec import Struct

FindingState = Literal["ok", "warning", "problem"]


class Finding(Struct, frozen=True, omit_defaults=True):
    """The result of one check.

    ``ok``: as it should be. ``warning``: it works, but an operator should know. ``problem``: it
    does not work, or a promise does not hold. ``text`` is what was found, and ``advice`` the next
    step, which every problem has. Neither has personal data, a secret or a DSN; a host and its
    port may be named. ``is_refused``: API and consumer do not start because of it.
    """

    part: str
    what: str
    state: FindingState
    text: str
    advice: str = ""
    is_refused: bool = False


class Inspection(Protocol):
    """Inspects one part of the system without changing it."""

    @abstractmethod
    async def inspect(self) -> Sequence[Finding]:
        """Return at least one finding.

        The first one says whether the part is reachable; if not, it is a problem and the only
        finding. May be cancelled.

        Raises:
            OrdersError: the inspection failed.
        """
