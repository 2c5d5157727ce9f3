"""Refuses requests for other hosts (DNS rebinding) and writes from other sites (CSRF)."""

import re
from collections.abc import Iterable, Mapping, Sequence

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from orders.entrypoints.http.problems import (
    CROSS_SITE,
    INVALID_REQUEST,
    MISDIRECTED,
    HTTPProblem,
)
from orders.entrypoints.http.responses import Header, header_values

_CACHED_HOSTS = 100
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^][@/?#:,\s]+))(?::[0-9]*)?")


class AllowedHosts:
    """Checks the Host header of every request; ``names`` are host names, empty for any."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names = frozenset(name.lower() for name in names)
        self._accepted: set[bytes] = set()

    def check(self, headers: Sequence[Header], by_name: Mapping[bytes, bytes]) -> None:
        """Check the Host header among ``headers``; ``by_name`` has the last of each name.

        Raises:
            HTTPProblem: there is not exactly one, or this service is not reached by that name.
        """
        host = by_name.get(b"host")
        if host in self._accepted and len(by_name) == len(headers):
            return
        if len(header_values(headers, b"host")) != 1 or not host:
            raise HTTPProblem(INVALID_REQUEST, "there must be exactly one Host header")
        if self._names and _name_of(host.decode("latin-1")) not in self._names:
            raise HTTPProblem(MISDIRECTED, "this service is not reached by this host name")
        if len(self._accepted) < _CACHED_HOSTS:
            self._accepted.add(host)


def refuse_cross_site(connection: ASGIConnection, _: BaseRouteHandler) -> None:  # type: ignore[type-arg]
    """Refuse a request with an effect that a page of another site has caused (a Litestar guard).

    Browsers say so by Sec-Fetch-Site, older ones by an Origin that differs from the Host. Clients
    that are not browsers send neither.

    Raises:
        HTTPProblem: it comes from another site.
    """
    require_same_site(connection.headers)


def require_same_site(headers: Mapping[str, str]) -> None:
    """See ``refuse_cross_site``."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is None and origin is None:
        return
    if site in {"same-origin", "none"}:
        return
    if site is None and origin is not None and origin.partition("://")[2] == headers.get("host"):
        return
    raise HTTPProblem(CROSS_SITE, "pages of other sites may not send or delete orders")


def _name_of(host: str) -> str:
    found = _HOST.fullmatch(host)
    return (found[1] or found[2]).lower() if found else ""
