"""Responses as bytes."""

from collections.abc import Iterable

from msgspec import Struct

from orders.entrypoints.http.asgi_types import Receive, Scope, Send

JSON = b"application/json"
NO_STORE = (b"cache-control", b"no-store")

Header = tuple[bytes, bytes]


class CommonHeaders(Struct, frozen=True):
    """Headers that many responses have, joined once (docs/performance.md).

    Create it by ``of``.
    """

    headers: tuple[Header, ...] = ()
    lines: bytes = b""
    """The same as they are sent."""

    @classmethod
    def of(cls, *headers: Header) -> "CommonHeaders":
        """Create it from these headers."""
        return cls(headers, b"".join(b"%b: %b\r\n" % header for header in headers))


_NONE = CommonHeaders()


class RawResponse(Struct, frozen=True):
    """A complete response, and the ASGI application that sends it.

    The response to HEAD has the same headers and no body.
    """

    status: int
    headers: tuple[Header, ...]
    body: bytes = b""
    common: CommonHeaders = _NONE
    """Further headers."""

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
        headers = self.headers + self.common.headers
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})


def cookie(headers: Iterable[Header], name: str) -> str:
    """Return the value of a cookie in a request, or an empty text."""
    # Not split: it may be 32 KiB of semicolons, from anybody.
    pairs = b";" + b";".join(header_values(headers, b"cookie")).replace(b"; ", b";")
    _, _, rest = pairs.partition(b";%s=" % name.encode())
    return rest.partition(b";")[0].strip().decode("latin-1")


def header_values(headers: Iterable[Header], name: bytes) -> list[bytes]:
    """Return all values of a request header; ``name`` is in lower case."""
    return [value for given, value in headers if given == name]
