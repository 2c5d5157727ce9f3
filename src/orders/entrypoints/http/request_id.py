"""Request ids: in the response, in log lines and in the headers of Kafka messages."""

import os
import re
from collections.abc import Iterable, Mapping, MutableMapping
from itertools import count
from typing import Any, cast

from orders.entrypoints.http.responses import Header, header_values

HEADER = b"x-request-id"
_KEY = "orders.request_id"
_SANE = re.compile(rb"[\x21-\x7e]{1,128}")


def is_sane(given: bytes) -> bool:
    """Whether an id from a client is usable: 1 to 128 visible ASCII characters."""
    return _SANE.fullmatch(given) is not None


class IdSource:
    """Makes ids from a random prefix and a counter.

    Each process has a source of its own, so ids are unique. This is faster than random ids.
    """

    def __init__(self) -> None:
        self._form = os.urandom(8).hex().encode() + b"%016x"
        self._numbers = count(1)

    def new(self) -> bytes:
        """Return a new id."""
        return self._form % next(self._numbers)

    def taken_or_made(self, headers: Iterable[Header]) -> bytes:
        """Return the client's id if it sends a usable one, else a new one."""
        given = header_values(headers, HEADER)
        return given[0] if len(given) == 1 and is_sane(given[0]) else self.new()


def attach(scope: Mapping[str, Any], request_id: str) -> None:
    """Attach the id to this request."""
    cast("MutableMapping[str, Any]", scope)[_KEY] = request_id


def is_attached(scope: Mapping[str, Any]) -> bool:
    """Whether this request has its id already."""
    return _KEY in scope


def of(scope: Mapping[str, Any]) -> str:
    """The id of this request."""
    return str(scope[_KEY])


def as_message_header(scope: Mapping[str, Any]) -> dict[str, str]:
    """Return the id of this request as a header of Kafka messages."""
    return {HEADER.decode(): of(scope)}
