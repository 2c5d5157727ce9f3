"""A whole answer, ready for the socket."""

from collections.abc import Iterable

from msgspec import Struct

from orders.entrypoints.http.asgi_types import Receive, Scope, Send

JSON = b"application/json"
NO_STORE = (b"cache-control", b"no-store")

Header = tuple[bytes, bytes]


class RawResponse(Struct, frozen=True):
    """Status, headers and all bytes of a body; an ASGI application that says just that.

    To HEAD it gives the headers of the body and leaves the body out.
    """

    status: int
    headers: tuple[Header, ...]
    body: bytes = b""

    @classmethod
    def of(
        cls, body: bytes, *headers: Header, media_type: bytes = JSON, status: int = 200
    ) -> "RawResponse":
        """An answer with this body, its type and its length."""
        length = b"%d" % len(body)
        described = ((b"content-type", media_type), (b"content-length", length), *headers)
        return cls(status, described, body)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        del receive
        body = b"" if scope.get("method") == "HEAD" else self.body
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})


def header_values(headers: Iterable[Header], name: bytes) -> list[bytes]:
    """All values of a header in a request; ``name`` in small letters."""
    return [value for given, value in headers if given == name]
