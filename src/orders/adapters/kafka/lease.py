"""How long a member of a group may count on its membership."""

import time
from typing import Any

from kafka.future import Future


class Lease:
    """Counts from when the brokers were asked, not from when their answer was read.

    An answer may have lain unread while the process was frozen, and the client's own clock starts
    when it reads it: the brokers may have struck the member off by then.
    """

    def __init__(self) -> None:
        self._confirmed = float("-inf")

    @property
    def silence(self) -> float:
        """Seconds since the latest answered heartbeat was sent; infinite before the first."""
        return time.time() - self._confirmed

    def watch(self, coordinator: Any) -> None:
        """See every heartbeat of this coordinator, the client's object for a membership."""
        send = coordinator._send_heartbeat_request  # noqa: SLF001 (told nowhere else)

        def send_and_note() -> Future:
            asked = time.time()
            return send().add_callback(lambda _: self._note(asked))

        coordinator._send_heartbeat_request = send_and_note  # noqa: SLF001

    def _note(self, asked: float) -> None:
        self._confirmed = max(self._confirmed, asked)
