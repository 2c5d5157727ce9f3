"""What clients present: a bearer key or token in the Authorization header, or a session cookie."""

import re
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from msgspec import Struct

from orders.entrypoints.http.access.principal import Denial, Principal
from orders.entrypoints.http.responses import Header, header_values

MAX_BYTES = 8192
"""The longest credential that is looked at."""

_HEADER = b"authorization"
_SANE = re.compile(rb"[!-~]{1,%d}" % MAX_BYTES)
_BEARER = re.compile(rb"(?i:bearer) +([!-~]{1,%d}) *" % MAX_BYTES)


class Denied(Exception):
    """A credential is not valid."""

    def __init__(self, reason: Denial) -> None:
        super().__init__(reason)
        self.reason = reason


class Grant(Struct, frozen=True):
    """What a valid credential gives.

    Attributes:
        principal: who presents it.
        expires: when it ends, in seconds since 1970; None for never.
        fingerprint: tells this credential from later ones of the same principal.
    """

    principal: Principal
    expires: float | None = None
    fingerprint: str = ""


class Claims(Struct, frozen=True):
    """What a session says about the credential that it was made from."""

    id: str
    scopes: tuple[str, ...]
    fingerprint: str
    until: float


class Authenticator(Protocol):
    """Knows which keys or tokens are valid."""

    def known(self, credential: bytes) -> Grant | None:
        """Return the grant if this is known without work, as for a key or a repeated token."""

    async def verify(self, credential: bytes) -> Grant:
        """Verify a credential that is not known; raises Denied, or Unavailable."""

    def recall(self, claims: Claims) -> Principal | None:
        """Return the principal of a session; None if its key was revoked or has expired."""

    def running(self) -> AbstractAsyncContextManager[None]:
        """Keep up with changes of keys inside the block."""


def is_sane(credential: bytes) -> bool:
    """Whether this may be a key or token: visible ASCII characters, and not too many."""
    return _SANE.fullmatch(credential) is not None


def bearer(headers: Sequence[Header]) -> bytes | None:
    """Return the key or token in the Authorization header, or None without that header.

    Raises:
        Denied: there are several such headers, or it is not a bearer token.
    """
    by_name = dict(headers)  # faster than a search by name
    given = by_name.get(_HEADER)
    if given is None:
        return None
    found = _BEARER.fullmatch(given)
    is_only = len(by_name) == len(headers) or len(header_values(headers, _HEADER)) == 1
    if found is None or not is_only:
        raise Denied("malformed")
    return found[1]
