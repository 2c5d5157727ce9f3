"""What the API refuses or cannot do, as exceptions."""

from typing import Any

import httpx
import msgspec
from msgspec import Struct


class Fault(Struct, frozen=True):
    """One fault of a request.

    Attributes:
        detail: what is wrong.
        pointer: where in the body, as a JSON pointer; empty if it is elsewhere.
        parameter: the name of the parameter that it is about, if it is about one.
    """

    detail: str
    pointer: str = ""
    parameter: str = ""


class _Problem(Struct):
    title: str = ""
    detail: str = ""
    code: str = ""
    request_id: str = ""
    errors: tuple[Fault, ...] = ()


class APIError(Exception):
    """The API has refused a request, or could not be asked.

    Attributes:
        status: of the response; 0 without one.
        code: the stable code of the problem, for programs. Some are the client's own:
            "unreachable" (no response), "unexpected" (a response that is not one of this API) and
            "not-stored".
        detail: a sentence for people, which may change.
        faults: the single faults, where there can be several.
        request_id: what to look for in the log of the API.
    """

    def __init__(
        self,
        detail: str,
        *,
        status: int = 0,
        code: str = "",
        faults: tuple[Fault, ...] = (),
        request_id: str = "",
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status
        self.code = code
        self.faults = faults
        self.request_id = request_id

    def __str__(self) -> str:
        about = [self.code or f"status {self.status}"]
        if self.request_id:
            about.append(f"request {self.request_id}")
        places = [f"{fault.pointer or fault.parameter}: {fault.detail}" for fault in self.faults]
        return "; ".join([f"{self.detail} ({', '.join(about)})", *places])


class RequestRefused(APIError):
    """The request cannot be served as it is (4xx)."""


class InvalidOrders(RequestRefused):
    """Orders break rules: ``faults`` lists every fault of every order; none was published."""


class Unauthorized(RequestRefused):
    """A valid key or token is needed."""


class Forbidden(RequestRefused):
    """The key or token does not allow this."""


class NotFound(RequestRefused):
    """There is no such order."""


class RateLimited(RequestRefused):
    """Too many requests, also after the client has waited and repeated this one."""


class ServerError(APIError):
    """Something went wrong in the service (5xx)."""


class Unavailable(ServerError):
    """The API or a server behind it is down, also after the request was repeated."""


class NotStored(APIError):
    """An order was not stored in time. It may still be, or has become a dead letter."""


UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for a body, which may be a proxy's."""

_FIRST_SERVER_ERROR = 500
_NOT_FOUND = 404
_NO_ORDER = "not-found"
_BY_STATUS: dict[int, type[APIError]] = {
    401: Unauthorized,
    403: Forbidden,
    _NOT_FOUND: NotFound,
    422: InvalidOrders,
    429: RateLimited,
    503: Unavailable,
}


def unexpected(status: int = 0) -> ServerError:
    """Return the exception for a success that cannot be read."""
    return ServerError("the response is not one of this API", status=status, code="unexpected")


def error_of(response: httpx.Response) -> APIError:
    """Return the exception for a response that is not a success."""
    status = response.status_code
    try:
        found = msgspec.json.decode(response.content, type=_Problem)
    except UNDECODABLE:
        found = _Problem()
    fields: dict[str, Any] = {
        "status": status,
        "code": found.code,
        "faults": found.errors,
        "request_id": found.request_id or response.headers.get("x-request-id", ""),
    }
    detail = found.detail or found.title or f"the response has status {status}"
    kind: type[APIError] = ServerError if status >= _FIRST_SERVER_ERROR else RequestRefused
    if status != _NOT_FOUND or found.code == _NO_ORDER:  # else the address is wrong
        kind = _BY_STATUS.get(status, kind)
    return kind(detail, **fields)
