"""A file that never changes while the process lives, with an entity tag."""

from typing import Any

from litestar import Request
from litestar.handlers import HTTPRouteHandler
from msgspec import Struct

from orders.entrypoints.http.answer import Answer, Header
from orders.entrypoints.http.etag import etag, is_known
from orders.entrypoints.http.routes import READ

REVALIDATE = (b"cache-control", b"no-cache")
"""Keep it, but ask each time: a new version of this service has other files at the same paths."""

_PAGE_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""For pages: everything from here, nothing inline; data: is for the icons inside of stylesheets."""


class StaticFile(Struct, frozen=True):
    """Bytes with their type; pages also carry a policy of what they may load."""

    body: bytes
    media_type: bytes
    extra_headers: tuple[Header, ...] = ()

    def answer_to(self, headers: list[Header]) -> Answer:
        """The file, or 304 where the client has it."""
        tag = etag(self.body)
        lasting = ((b"etag", tag), REVALIDATE, *self.extra_headers)
        if is_known(headers, tag):
            return Answer(304, lasting)
        return Answer.of(self.body, *lasting, media_type=self.media_type)


def page(html: str) -> StaticFile:
    """An HTML page."""
    return StaticFile(
        html.encode(), b"text/html; charset=utf-8", ((b"content-security-policy", _PAGE_POLICY),)
    )


def route(path: str, file: StaticFile) -> HTTPRouteHandler:
    """A route, not in the OpenAPI document, that serves this file."""

    @READ(path, include_in_schema=False)
    async def get_file(request: Request[Any, Any, Any]) -> Answer:
        return file.answer_to(list(request.scope["headers"]))

    return get_file
