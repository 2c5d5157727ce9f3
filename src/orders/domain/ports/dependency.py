"""Servers that this process needs, and that can be down."""

from abc import abstractmethod
from typing import Protocol


class Dependency(Protocol):
    """A server whose health can be checked."""

    @abstractmethod
    async def check(self) -> None:
        """Return if it works.

        Raises:
            OrdersError: it does not work; the text has the reason, without addresses or secrets.
        """
