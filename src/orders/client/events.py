"""What the stream of events has, as objects."""

from collections.abc import Iterator
from datetime import datetime
from typing import Literal

import httpx
import msgspec
from msgspec import Struct

from orders.client.errors import UNDECODABLE, unexpected


class OrderEvent(Struct, frozen=True):
    """An order was stored or forgotten.

    Attributes:
        kind: "stored" or "forgotten"; or "reset", which has no order: events were lost between
            ``after`` and this one, so that whoever keeps a copy has to read all orders again.
        id: what to resume after.
        order_uid: the order. The fields below are set if it was stored.
        amount: None also if the order has lost its payment; ``currency`` likewise.
    """

    kind: Literal["stored", "forgotten", "reset"] = "reset"
    id: str = ""
    order_uid: str = ""
    track_number: str = ""
    customer_id: str = ""
    date_created: datetime | None = None
    amount: int | None = None
    currency: str | None = None
    item_count: int = 0


_KINDS = frozenset({"stored", "forgotten", "reset"})
_event = msgspec.json.Decoder(OrderEvent)


class EventReader:
    """Reads events from the chunks of a stream; ``last_id`` is what to resume after."""

    def __init__(self, last_id: str) -> None:
        self.last_id = last_id
        self._rest = b""

    def begin(self, response: httpx.Response) -> None:
        """Begin a connection; drops the part of an event at which the one before ended."""
        if not response.headers.get("content-type", "").startswith("text/event-stream"):
            raise unexpected(response.status_code)
        self._rest = b""

    def feed(self, chunk: bytes) -> Iterator[OrderEvent]:
        """Return the events that ``chunk`` completes."""
        *blocks, self._rest = (self._rest + chunk).split(b"\n\n")
        for block in blocks:
            # By bytes: in data there may be what text splits lines at, such as U+2028.
            fields = dict(line.split(b": ", 1) for line in block.split(b"\n") if b": " in line)
            self.last_id = fields.get(b"id", b"").decode("latin-1") or self.last_id
            kind = fields.get(b"event", b"").decode("latin-1")
            if kind in _KINDS and b"data" in fields:
                try:
                    event = _event.decode(fields[b"data"])
                except UNDECODABLE as error:
                    raise unexpected() from error
                yield msgspec.structs.replace(event, kind=kind, id=self.last_id)
