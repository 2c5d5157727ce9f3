"""A close look at one thing outside, for an operator."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Literal, Protocol

from msgspec import Struct

FindingState = Literal["ok", "warning", "problem"]


class Finding(Struct, frozen=True, omit_defaults=True):
    """One thing that was looked at.

    ``ok``: as it should be. ``warning``: it works, but somebody should know. ``problem``: it does
    not work, or what is promised does not hold. ``text`` says what was found, and ``advice`` the
    next step, which every problem has. Neither holds personal data, a secret or a DSN; a host and
    its port may be named.
    """

    part: str
    what: str
    state: FindingState
    text: str
    advice: str = ""


class Inspection(Protocol):
    """Looks at one part of the system and changes nothing there."""

    @abstractmethod
    async def inspect(self) -> Sequence[Finding]:
        """Look, and say what was found, at least one thing.

        The first finding says whether the part can be reached at all; where it cannot, that is a
        problem and the only finding. May be cancelled.

        Raises:
            OrdersError: it could not be looked at after all.
        """
