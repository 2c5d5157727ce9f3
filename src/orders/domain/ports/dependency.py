"""Something outside that this process needs, and that can be away."""

from abc import abstractmethod
from typing import Protocol


class Dependency(Protocol):
    """A server that can be asked whether it would do its work now."""

    @abstractmethod
    async def check(self) -> None:
        """Return when it works.

        Raises:
            OrdersError: it does not; the text says what is wrong, without addresses or secrets.
        """
