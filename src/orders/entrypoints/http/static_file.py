"""A file that never changes while the process lives, with an entity tag."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

from litestar import Request
from litestar.handlers import HTTPRouteHandler

from orders.entrypoints.http.etag import etag, is_known
from orders.entrypoints.http.responses import Header, RawResponse
from orders.entrypoints.http.routes import READ

REVALIDATE = (b"cache-control", b"no-cache")
"""Clients revalidate: another version of the service has other files at the same paths."""

_PAGE_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Pages load from this origin only, nothing inline; ``data:`` is for icons in stylesheets."""


class StaticFile:
    """A file whose content is created on first use.

    Args:
        make: returns the content; called once.
        media_type: the value of Content-Type.
        extra_headers: further headers of the response.
        cache_control: the Cache-Control header.
    """

    def __init__(
        self,
        make: Callable[[], bytes],
        media_type: bytes,
        *extra_headers: Header,
        cache_control: Header = REVALIDATE,
    ) -> None:
        self._make = make
        self._media_type = media_type
        self._extra_headers = extra_headers
        self._cache_control = cache_control

    @cached_property
    def body(self) -> bytes:
        """The bytes."""
        return self._make()

    @cached_property
    def _immutable_headers(self) -> tuple[Header, ...]:
        return ((b"etag", etag(self.body)), self._cache_control, *self._extra_headers)

    def response_to(self, headers: list[Header]) -> RawResponse:
        """Return the file, or 304 if the client has it."""
        (_, tag), *_ = immutable = self._immutable_headers
        if is_known(headers, tag):
            return RawResponse(304, immutable)
        return RawResponse.of(self.body, *immutable, media_type=self._media_type)


def page(html: str) -> StaticFile:
    """Create an HTML page."""
    policy = (b"content-security-policy", _PAGE_POLICY)
    return StaticFile(html.encode, b"text/html; charset=utf-8", policy)


def route(path: str, file: StaticFile) -> HTTPRouteHandler:
    """Create a route that serves this file; it is not in the OpenAPI document."""

    @READ(path, include_in_schema=False)
    async def get_file(request: Request[Any, Any, Any]) -> RawResponse:
        return file.response_to(list(request.scope["headers"]))

    return get_file
