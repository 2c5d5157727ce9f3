"""Sessions of the page: a signed cookie that names the key it was made from."""

import hashlib
import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from time import time

import msgspec

from orders.entrypoints.http.access.credentials import MAX_BYTES, Authenticator, Claims, Grant
from orders.entrypoints.http.access.principal import Principal
from orders.entrypoints.http.responses import Header, cookie

COOKIE = "orders-session"
SECONDS = 43_200
"""How long a session lasts; the same day's work."""

_FORM = re.compile(r"([A-Za-z0-9_-]+={0,2})\.([0-9a-f]{64})")
_ATTRIBUTES = "Path=/; HttpOnly; SameSite=Strict"


class Sessions:
    """Makes sessions, and checks them.

    A session is not the key: it works as a cookie alone, for 12 hours, and the key cannot be had
    from it. Whoever has the file of keys cannot make one without ``secret``. All workers and
    processes with the same secret accept it, and none keeps a list of sessions: each request asks
    ``authenticator`` whether the key is still valid.
    """

    def __init__(self, secret: bytes, authenticator: Authenticator) -> None:
        self._secret = secret
        self._authenticator = authenticator

    def begin(self, grant: Grant, *, is_secure: bool) -> Header:
        """Return the header that sets the cookie of a new session."""
        seconds = SECONDS
        if grant.expires is not None:
            seconds = max(0, min(seconds, int(grant.expires - time())))
        principal = grant.principal
        claims = Claims(
            principal.id, tuple(sorted(principal.scopes)), grant.fingerprint, time() + seconds
        )
        payload = urlsafe_b64encode(msgspec.json.encode(claims))
        value = f"{payload.decode()}.{self._signature(payload)}"
        return _set_cookie(value, seconds, is_secure=is_secure)

    def principal_of(self, headers: Sequence[Header]) -> Principal | None:
        """Return the principal of the session in a request, or None."""
        value = cookie(headers, COOKIE)
        found = _FORM.fullmatch(value) if 0 < len(value) <= MAX_BYTES else None
        if found is None:
            return None
        payload = found[1].encode()
        if not hmac.compare_digest(self._signature(payload), found[2]):
            return None
        try:
            claims = msgspec.json.decode(urlsafe_b64decode(payload), type=Claims)
        except ValueError:  # of another version
            return None
        return self._authenticator.recall(claims) if claims.until > time() else None

    def _signature(self, payload: bytes) -> str:
        return hmac.new(self._secret, payload, hashlib.sha256).hexdigest()


def end(*, is_secure: bool) -> Header:
    """Return the header that removes the cookie."""
    return _set_cookie("", 0, is_secure=is_secure)


def _set_cookie(value: str, seconds: int, *, is_secure: bool) -> Header:
    secure = "; Secure" if is_secure else ""
    text = f"{COOKIE}={value}; Max-Age={seconds}; {_ATTRIBUTES}{secure}"
    return (b"set-cookie", text.encode())
