"""The order_uid in a path, read from the bytes that the client sent.

Servers also give a decoded path, but in that ``%2F`` has become ``/`` and broken UTF-8 a
replacement character: different uids look alike. The raw path keeps them apart.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from orders.domain.order.rules import ID_MAX_LENGTH
from orders.entrypoints.http.problems import INVALID_REQUEST, HTTPProblem, ProblemError

PREFIX = b"/orders/"
EVENTS = "/orders/events"
LONGEST = ID_MAX_LENGTH * len("%F0%9F%98%80")
"""Bytes that an order_uid may have in a path. 32 KiB of escapes would take milliseconds to read,
and to show on an error page."""
_NO_ORDER = frozenset({PREFIX, EVENTS.encode()})
_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


def raw_path(scope: Mapping[str, Any]) -> bytes:
    """Return the path as it was sent, or the encoded path if the server does not provide it."""
    raw: bytes | None = scope.get("raw_path")
    return quote(scope["path"], errors="surrogateescape").encode() if raw is None else raw


def has_order_uid(path: bytes) -> bool:
    """Whether this raw path is below /orders/, and of an order."""
    return path.startswith(PREFIX) and path not in _NO_ORDER


def decoded(segment: bytes) -> str:
    """Decode a segment of a raw path.

    Raises:
        HTTPProblem: it is not percent-encoded UTF-8.
    """
    try:
        text = segment.decode()
        if "%" not in text:
            return text
        if not _BROKEN_ESCAPE.search(segment):
            return unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        pass
    fault = ProblemError("must be percent-encoded UTF-8", parameter="order_uid")
    raise HTTPProblem(INVALID_REQUEST, "the path is not percent-encoded UTF-8", [fault])


def order_uid_in(scope: Mapping[str, Any]) -> str:
    """Return the order_uid in the path of a request, or an empty text if no order can have it.

    Raises:
        HTTPProblem: it is not percent-encoded UTF-8.
    """
    path = raw_path(scope)
    segment = path[len(PREFIX) :] if path.startswith(PREFIX) else b""
    return decoded(segment) if len(segment) <= LONGEST else ""


def path_to(order_uid: str) -> str:
    """Return the path of an order.

    Clients remove the segments ``.`` and ``..`` before they send a request, encoded or not, so
    these two orders are addressed by a filter, and so is one with the name of another route.
    """
    if order_uid in {".", "..", "events"}:
        return f"/orders?order_uid={order_uid}"
    return f"/orders/{quote(order_uid, safe='')}"
