"""The id that follows a request: into its answer, the log and the headers of Kafka messages."""

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
    """Whether an id that a client gave is one to go on with: 1 to 128 visible ASCII characters."""
    return _SANE.fullmatch(given) is not None


class IdSource:
    """Makes ids: a random half that is the source's own, then a number.

    No two sources give the same; each process has its own. Random all through they would take four
    times as long.
    """

    def __init__(self) -> None:
        self._form = os.urandom(8).hex().encode() + b"%016x"
        self._numbers = count(1)

    def new(self) -> bytes:
        """An id that was not given before."""
        return self._form % next(self._numbers)

    def taken_or_made(self, headers: Iterable[Header]) -> bytes:
        """The client's id where it gives one that is sane, else a new one."""
        given = header_values(headers, HEADER)
        return given[0] if len(given) == 1 and is_sane(given[0]) else self.new()


def attach(scope: Mapping[str, Any], request_id: str) -> None:
    """Remember the id of this request."""
    cast("MutableMapping[str, Any]", scope)[_KEY] = request_id


def is_attached(scope: Mapping[str, Any]) -> bool:
    """Whether this request has its id already."""
    return _KEY in scope


def of(scope: Mapping[str, Any]) -> str:
    """The id of this request."""
    return str(scope[_KEY])


def as_message_header(scope: Mapping[str, Any]) -> dict[str, str]:
    """The id of this request as it goes along with Kafka messages."""
    return {HEADER.decode(): of(scope)}
