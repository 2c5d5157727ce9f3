"""The public keys that an issuer signs tokens with (a JWKS), from a file or a URL."""

import asyncio
import socket
import ssl
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

import msgspec
import structlog
from jwt import PyJWK, PyJWTError

from orders.daemon_thread import in_daemon_thread
from orders.domain.errors import Unavailable

REFRESH_SECONDS = 300.0
"""Keys that the issuer has withdrawn are in use for this long at most."""
MIN_INTERVAL = 10.0
"""Tokens with unknown key ids make the keys be fetched no more often than this."""
TIMEOUT = 5.0
MAX_BYTES = 1_000_000
_CHUNK = 65_536

log = structlog.get_logger("orders.http")


class SigningKeys:
    """The keys of ``source``, a path or a URL, for ``algorithms``.

    They are fetched in a thread. If that fails, those that were fetched last stay in use. A JWKS
    counts as it is, also if no key in it is usable: the issuer has withdrawn the former ones.
    """

    def __init__(
        self, source: str, algorithms: Sequence[str], min_interval: float = MIN_INTERVAL
    ) -> None:
        self._source = source
        self._algorithms = algorithms
        self._min_interval = min_interval
        self._keys: dict[tuple[str | None, str], PyJWK] = {}
        self._published: list[Any] | None = None  # nothing was fetched yet
        self._attempted = -min_interval
        self._refresh: asyncio.Task[None] | None = None
        self._reported: str | None = None
        self._reading = Lock()
        self.generation = 0
        """Changes with the keys."""

    async def find(self, key_id: str | None, algorithm: str) -> PyJWK | None:
        """Return a key, after another look at the source if it is not known.

        Raises:
            Unavailable: no keys could be fetched yet.
        """
        found = self._keys.get((key_id, algorithm))
        if found is None:
            await self._refresh_soon()
            found = self._keys.get((key_id, algorithm))
        if self._published is None:
            raise Unavailable("the keys of the issuer of tokens cannot be fetched")
        return found

    async def keep_fresh(self) -> None:
        """Fetch the keys now and every few minutes, until cancelled."""
        while True:
            await self._refresh_soon()
            await asyncio.sleep(REFRESH_SECONDS if self._keys else self._min_interval)

    async def _refresh_soon(self) -> None:
        """Fetch the keys, unless that was tried a moment ago; all callers wait for one attempt."""
        if self._refresh is None or self._refresh.done():
            now = time.monotonic()
            if now - self._attempted < self._min_interval:
                return
            self._attempted = now
            self._refresh = asyncio.create_task(self._fetch())
        await asyncio.shield(self._refresh)  # a client that leaves does not cancel it for others

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(2 * TIMEOUT):
                content = await in_daemon_thread(self._read)
            published = _published(content)
            keys = _usable(published, self._algorithms)
        except Exception as error:  # noqa: BLE001 (the next attempt may succeed)
            self._report(_reason(error))
            return
        if published != self._published:
            self._published, self._keys = published, keys
            self.generation += 1
            if keys:
                log.info("signing keys read", keys=len(published))
            else:
                log.warning(
                    "no signing key is usable", keys=len(published), algorithms=self._algorithms
                )
        elif self._reported is not None:
            log.info("signing keys can be read again", keys=len(published))
        self._reported = None

    def _read(self) -> bytes:
        """Return the JWKS; raises OSError or ValueError.

        The thread of a fetch that was given up may live on: its host may send a byte now and then.
        Until it ends there is no other one.
        """
        if not self._reading.acquire(blocking=False):
            raise TimeoutError
        try:
            return _content(self._source)
        finally:
            self._reading.release()

    def _report(self, reason: str) -> None:
        if reason != self._reported:
            log.warning(
                "signing keys cannot be read", reason=reason, kept=len(self._published or ())
            )
        self._reported = reason


class _NoRedirects(HTTPRedirectHandler):
    """Follows no redirect: it could lead from TLS to a host that nobody has named."""

    def redirect_request(self, *_: Any) -> None:
        """See ``HTTPRedirectHandler.redirect_request``."""


def _content(source: str) -> bytes:
    """Return the JWKS; raises OSError or ValueError."""
    if "://" not in source:
        with Path(source).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    else:
        content = _downloaded(source)
    if len(content) > MAX_BYTES:
        raise ValueError(f"larger than {MAX_BYTES} bytes")
    return content


def _downloaded(url: str) -> bytes:
    deadline = time.monotonic() + 2 * TIMEOUT
    request = Request(url, headers={"Accept": "application/json"})  # noqa: S310 (a setting)
    parts = []
    size = 0
    with build_opener(_NoRedirects).open(request, timeout=TIMEOUT) as response:
        while size <= MAX_BYTES and (part := response.read1(_CHUNK)):
            if time.monotonic() > deadline:
                raise TimeoutError
            parts.append(part)
            size += len(part)
    return b"".join(parts)


def _published(content: bytes) -> list[Any]:
    try:
        found = msgspec.json.decode(content, type=dict[str, Any]).get("keys")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = None
    if not isinstance(found, list):
        raise ValueError("not a JWKS")  # noqa: TRY004 (it is about the text)
    return found


def _usable(published: list[Any], algorithms: Sequence[str]) -> dict[tuple[str | None, str], PyJWK]:
    """Return the keys by id and algorithm; a key that names no algorithm is for all of its kind.

    A single key is also found without an id, which some issuers leave out.
    """
    keys = {}
    for each in published:
        if isinstance(each, dict) and each.get("use", "sig") == "sig":
            for algorithm in algorithms:
                if each.get("alg", algorithm) == algorithm:
                    with suppress(PyJWTError, TypeError, ValueError):  # a key of another kind
                        key = PyJWK(each, algorithm)
                        keys[key.key_id, algorithm] = key
    if len(published) == 1:
        keys |= {(None, algorithm): key for (_, algorithm), key in keys.items()}
    return keys


def _reason(error: Exception) -> str:
    if isinstance(error, URLError) and isinstance(error.reason, Exception):
        error = error.reason
    match error:
        case HTTPError():
            reason = f"status {error.code}"
        case TimeoutError():
            reason = "no answer in time"
        case ssl.SSLCertVerificationError():
            reason = f"the certificate is not trusted ({error.verify_message})"
        case socket.gaierror():
            reason = "the name of the host is not known"
        case OSError():
            reason = (error.strerror or "the connection failed").lower()
        case ValueError():
            reason = str(error)
        case _:
            reason = f"failed with {type(error).__name__}"
    return reason
