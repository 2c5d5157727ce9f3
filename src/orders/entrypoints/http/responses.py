"""Responses as bytes."""

from collections.abc import Iterable

from msgspec import Struct

from orders.entrypoints.http.asgi_types import Receive, Scope, Send

JSON = b"application/json"
NO_STORE = (b"cache-control", b"no-store")

Header = tuple[bytes, bytes]


class RawResponse(Struct, frozen=True):
    """A complete response, and the ASGI application that sends it.

    The response to HEAD has the same headers and no body.
    """

    status: int
    headers: tuple[Header, ...]
    body: bytes = b""

    @classmethod
    def of(
        cls, body: bytes, *headers: Header, media_type: bytes = JSON, status: int = 200
    ) -> "RawResponse":
        """Create a response with this body and its Content-Type and Content-Length."""
        length = b"%d" % len(body)
        described = ((b"content-type", media_type), (b"content-length", length), *headers)
        return cls(status, described, body)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        del receive
        body = b"" if scope.get("method") == "HEAD" else self.body
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})


def cookie(headers: Iterable[Header], name: str) -> str:
    """Return the value of a cookie in a request, or an empty text."""
    for pair in b";".join(header_values(headers, b"cookie")).decode("latin-1").split(";"):
        given, _, value = pair.partition("=")
        if given.strip() == name:
            return value.strip()
    return ""


def header_values(headers: Iterable[Header], name: bytes) -> list[bytes]:
    """Return all values of a request header; ``name`` is in lower case."""
    return [value for given, value in headers if given == name]
