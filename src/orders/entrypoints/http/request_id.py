"""The id that follows a request: into its answer, the log and the headers of Kafka messages."""

import os
import re
from collections.abc import Iterable, Mapping, MutableMapping
from itertools import count
from typing import Any, cast

from orders.entrypoints.http.answer import Header, header_values

HEADER = b"x-request-id"
_KEY = "orders.request_id"
_SANE = re.compile(rb"[\x21-\x7e]{1,128}")


def taken_or_made(headers: Iterable[Header]) -> str:
    """The client's id where it is 1 to 128 visible ASCII characters, else a new random one."""
    given = header_values(headers, HEADER)
    if len(given) == 1 and is_sane(given[0]):
        return given[0].decode()
    return os.urandom(16).hex()


def is_sane(given: bytes) -> bool:
    """Whether an id that a client gave is one to go on with."""
    return _SANE.fullmatch(given) is not None


class IdSource:
    """New ids of the same look, for a third of the time: a random half, then a number.

    No two sources give the same; each process has one of its own.
    """

    def __init__(self) -> None:
        self._form = os.urandom(8).hex().encode() + b"%016x"
        self._numbers = count(1)

    def new(self) -> bytes:
        """One that was not given before."""
        return self._form % next(self._numbers)


def attach(scope: Mapping[str, Any], request_id: str) -> None:
    """Remember the id of this request."""
    cast("MutableMapping[str, Any]", scope)[_KEY] = request_id


def of(scope: Mapping[str, Any]) -> str:
    """The id of this request."""
    return str(scope[_KEY])


def as_message_header(scope: Mapping[str, Any]) -> dict[str, str]:
    """The id of this request as it goes along with Kafka messages."""
    return {HEADER.decode(): of(scope)}
