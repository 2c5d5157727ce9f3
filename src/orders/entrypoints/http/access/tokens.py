"""Authenticates JSON Web Tokens (RFC 9068) of one issuer."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from time import time
from typing import Any

import jwt

from orders.entrypoints.http.access.credentials import Claims, Denied, Grant
from orders.entrypoints.http.access.principal import Principal
from orders.entrypoints.http.access.scopes import SCOPES
from orders.entrypoints.http.access.signing_keys import SigningKeys

VERIFIED_TOKENS = 1000
_LONGEST_SUBJECT = 255
_REQUIRED = ["exp", "iss", "aud", "sub"]


class Tokens:
    """Tokens that ``issuer`` has signed for ``audience``.

    The algorithms are pinned: what the header of a token says chooses among them, and each key is
    used with its own algorithm alone. So neither ``none`` nor an HMAC with a public key passes.

    Tokens that were verified are remembered until they expire or the issuer's keys change.
    """

    def __init__(
        self,
        keys: SigningKeys,
        issuer: str,
        audience: str,
        algorithms: Sequence[str],
        leeway: float,
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._algorithms = list(algorithms)
        self._leeway = leeway
        self._verified: OrderedDict[bytes, Grant] = OrderedDict()
        self._generation = keys.generation

    def known(self, credential: bytes) -> Grant | None:
        """See ``Authenticator.known``."""
        self._forget_old()
        name = hashlib.sha256(credential).digest()
        grant = self._verified.get(name)
        if grant is not None:
            self._verified.move_to_end(name)
            if grant.expires is not None and grant.expires <= time():
                del self._verified[name]
                return None
        return grant

    async def verify(self, credential: bytes) -> Grant:
        """See ``Authenticator.verify``."""
        try:
            header = jwt.get_unverified_header(credential)
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise Denied("malformed") from None
        algorithm = header.get("alg")
        if algorithm not in self._algorithms:
            raise Denied("not valid")
        key = await self._keys.find(header.get("kid"), algorithm)
        if key is None:
            raise Denied("not valid")
        try:
            claims = jwt.decode(
                credential,
                key,
                algorithms=self._algorithms,
                audience=self._audience,
                issuer=self._issuer,
                leeway=self._leeway,
                options={"require": _REQUIRED, "enforce_minimum_key_length": True},
            )
        except jwt.ExpiredSignatureError:
            raise Denied("expired") from None
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
            raise Denied("not valid") from None
        grant = self._grant(claims)
        self._forget_old()
        self._verified[hashlib.sha256(credential).digest()] = grant
        if len(self._verified) > VERIFIED_TOKENS:
            self._verified.popitem(last=False)
        return grant

    def recall(self, claims: Claims) -> Principal | None:
        """See ``Authenticator.recall``; a session of a token ends with that."""
        return Principal(claims.id, frozenset(claims.scopes), is_personal=True)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """See ``Authenticator.running``."""
        task = asyncio.create_task(self._keys.keep_fresh())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def _forget_old(self) -> None:
        """Forget what was verified with other keys than the present ones."""
        if self._generation != self._keys.generation:
            self._verified.clear()
            self._generation = self._keys.generation

    def _grant(self, claims: dict[str, Any]) -> Grant:
        subject = claims["sub"]
        if not 0 < len(subject) <= _LONGEST_SUBJECT:
            raise Denied("malformed")
        try:
            subject.encode()  # JSON can have half of a character
            end = float(claims["exp"])
        except (UnicodeEncodeError, OverflowError):
            raise Denied("malformed") from None
        principal = Principal(subject, frozenset(_scopes(claims)), is_personal=True)
        return Grant(principal, end + self._leeway)


def _scopes(claims: dict[str, Any]) -> list[str]:
    """Return our scopes in ``scope``, separated by spaces, or in ``scp``, which may be a list."""
    found: list[Any] = []
    for name in ("scope", "scp"):
        value = claims.get(name, [])
        found += (
            value.split() if isinstance(value, str) else value if isinstance(value, list) else []
        )
    return [scope for scope in SCOPES if scope in found]
