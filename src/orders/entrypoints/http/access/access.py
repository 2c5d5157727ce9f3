"""What the settings say about access: who is let in, within which limits, behind which proxies."""

import hmac
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING

import structlog

from orders.config import Settings
from orders.entrypoints.http.access.clients import TrustedProxies, group, parse_networks
from orders.entrypoints.http.access.credentials import Authenticator, Denied, Grant, bearer
from orders.entrypoints.http.access.keys import Keys
from orders.entrypoints.http.access.principal import (
    Principal,
    attach_denial,
    counted_as,
    principal_of,
)
from orders.entrypoints.http.access.sessions import Sessions
from orders.entrypoints.http.asgi_types import Scope
from orders.entrypoints.http.problems import UNAUTHORIZED, HTTPProblem
from orders.entrypoints.http.responses import Header
from orders.log_budget import LogBudget

if TYPE_CHECKING:
    from orders.entrypoints.http.access.limiting import Concurrency, Rates

log = structlog.get_logger("orders.http")


class Access:
    """The parts that the settings ask for; None stands for one that they do not.

    Attributes:
        authenticator: knows the keys or tokens.
        sessions: those of the page.
        proxies: whose headers say where a request comes from.
        rates: the most requests of a client in a time.
        concurrency: the most requests of a client at a time.
    """

    def __init__(self, settings: Settings) -> None:
        self.authenticator = _authenticator(settings)
        self.sessions: Sessions | None = None
        if self.authenticator is not None:
            self.sessions = Sessions(_session_secret(settings), self.authenticator)
        self.proxies = TrustedProxies(parse_networks(settings.http_trusted_proxies or ""))
        self.rates = _rates("requests", settings.http_rate_limit)
        self.concurrency = _concurrency(settings.http_concurrency_limit)
        self._sent = _rates("bytes of orders", settings.http_send_limit)
        failures = settings.http_failure_limit if self.is_protected else None
        self._failures = _rates("failed logins", failures)
        self._denials = LogBudget(log, "further wrong keys and tokens are not logged for a while")
        self.is_limited = any((self.rates, self.concurrency, self._sent))
        self.is_needed = (
            self.is_protected or self.is_limited or settings.http_trusted_proxies is not None
        )

    @property
    def is_protected(self) -> bool:
        """Whether clients need a key or token."""
        return self.authenticator is not None

    def identify(self, headers: Sequence[Header]) -> Principal | bytes | None:
        """Return who sends a request, or a key or token that has to be verified first.

        In the header it counts alone, also if there is a session besides.

        Raises:
            Denied: the header has no bearer token.
        """
        if self.authenticator is None or self.sessions is None:
            return None
        credential = bearer(headers)
        if credential is None:
            return self.sessions.principal_of(headers)
        grant = self.authenticator.known(credential)
        return credential if grant is None else grant.principal

    async def check_again(self, scope: Scope) -> None:
        """Check that what a request was let in by has not ended meanwhile.

        Raises:
            HTTPProblem: its key was revoked or changed, or that, the token or the session has
                expired.
            Unavailable: tokens cannot be verified now.
        """
        principal = principal_of(scope)
        if self.authenticator is None or principal is None:
            return
        found = self.identify(scope["headers"])
        if isinstance(found, bytes):
            try:
                found = (await self.authenticator.verify(found)).principal
            except Denied:
                found = None
        if found != principal:
            raise HTTPProblem(UNAUTHORIZED, "the key or token is not valid any more")

    async def verified(self, authenticator: Authenticator, credential: bytes, client: str) -> Grant:
        """Return what a key or token gives that is not known yet.

        A valid one is never refused because of wrong ones from the same address, which other
        clients may share.

        Raises:
            Denied: it is not valid.
            HTTPProblem: likewise, and there were too many such from this address.
            Unavailable: tokens cannot be verified now.
        """
        try:
            return await authenticator.verify(credential)
        except Denied:
            self.count_failure(client)
            raise

    def deny(self, scope: Scope, denied: Denied) -> None:
        """Attach to a request why its key or token is not taken."""
        attach_denial(scope, denied.reason, is_logged=self._denials.take())

    def count_failure(self, client: str) -> None:
        """Count what is not a valid key or token; raises HTTPProblem if there were too many."""
        if self._failures is not None:
            self._failures.count(group(client))

    async def admit(self, scope: Scope, size: int) -> None:
        """Let a client send ``size`` bytes of orders, which may have taken a while to arrive.

        Raises:
            HTTPProblem: as ``check_again``, or the client sends too much.
            Unavailable: as ``check_again``.
        """
        await self.check_again(scope)
        if self._sent is not None:
            self._sent.count(counted_as(scope), size)

    def running(self) -> AbstractAsyncContextManager[None]:
        """Keep up with changes of keys inside the block."""
        return nullcontext() if self.authenticator is None else self.authenticator.running()


# The library of limits, like that of tokens, is loaded only where it is used.


def _rates(what: str, limits: str | None) -> "Rates | None":
    if limits is None:
        return None
    from limits import parse_many  # noqa: PLC0415

    from orders.entrypoints.http.access.limiting import Rates  # noqa: PLC0415

    return Rates(what, parse_many(limits))


def _concurrency(most: int | None) -> "Concurrency | None":
    if most is None:
        return None
    from orders.entrypoints.http.access.limiting import Concurrency  # noqa: PLC0415

    return Concurrency(most)


def _session_secret(settings: Settings) -> bytes:
    """Return what signs sessions: those that began with another kind of access are not taken."""
    secret = settings.http_session_secret or token_hex()
    kind: list[str] = [settings.http_auth]
    if settings.http_auth == "jwt":
        kind += [settings.http_jwt_issuer or "", settings.http_jwt_audience or ""]
    return hmac.digest(secret.encode(), "\0".join(kind).encode(), "sha256")


def _authenticator(settings: Settings) -> Authenticator | None:
    if settings.http_auth == "keys":
        return Keys(Path(settings.http_keys_file or ""))
    if settings.http_auth == "jwt":
        from orders.entrypoints.http.access.signing_keys import SigningKeys  # noqa: PLC0415
        from orders.entrypoints.http.access.tokens import Tokens  # noqa: PLC0415

        algorithms = settings.jwt_algorithms
        return Tokens(
            SigningKeys(settings.http_jwt_jwks or "", algorithms),
            settings.http_jwt_issuer or "",
            settings.http_jwt_audience or "",
            algorithms,
            settings.http_jwt_leeway,
        )
    return None
