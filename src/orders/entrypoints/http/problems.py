"""Problem details (RFC 9457): the problem types of the API, and the errors they stand for."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import NamedTuple

import msgspec
from litestar.exceptions import HTTPException
from msgspec import UNSET, Struct, UnsetType

from orders.domain.errors import (
    Abandoned,
    DamagedOrder,
    Invalid,
    Misconfigured,
    NotFound,
    Overloaded,
    TooLarge,
    Unavailable,
    Undecodable,
    Unsupported,
)
from orders.entrypoints.http.responses import NO_STORE, Header, RawResponse

MEDIA_TYPE = b"application/problem+json"
RETRY_AFTER_SECONDS = 5
_TYPE = "urn:orders:problem:"


class ProblemError(Struct, frozen=True, omit_defaults=True):
    """One fault, and its place: a JSON pointer into the body, or the name of a parameter."""

    detail: str
    pointer: str | UnsetType = UNSET
    parameter: str | UnsetType = UNSET


class Problem(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Problem details. ``code`` is stable and meant for programs; texts may change."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: tuple[ProblemError, ...] | UnsetType = UNSET


class ProblemType(NamedTuple):
    """A type of problem: its code, status and title."""

    code: str
    status: int
    title: str


class UserMessage(NamedTuple):
    """A message for people: the name of a translated text, and the values in it."""

    name: str
    values: Mapping[str, object]


INVALID_REQUEST = ProblemType("invalid-request", 400, "The request is not valid")
INCOMPLETE_BODY = ProblemType("incomplete-body", 400, "The body did not arrive as a whole")
UNAUTHORIZED = ProblemType("unauthorized", 401, "A valid key or token is needed")
CROSS_SITE = ProblemType("cross-site", 403, "Another site has caused this request")
FORBIDDEN = ProblemType("forbidden", 403, "This sender may not do that")
ORDER_NOT_FOUND = ProblemType("not-found", 404, "There is no such order")
UNKNOWN_PATH = ProblemType("unknown-path", 404, "Nothing is served at this path")
METHOD_NOT_ALLOWED = ProblemType("method-not-allowed", 405, "This method does not apply here")
NOT_ACCEPTABLE = ProblemType("not-acceptable", 406, "No acceptable form to answer in")
SLOW_BODY = ProblemType("slow-body", 408, "The body took too long")
TOO_LARGE = ProblemType("too-large", 413, "Too much at once")
UNSUPPORTED_ENCODING = ProblemType("unsupported-media-type", 415, "The body is encoded")
MISDIRECTED = ProblemType("misdirected", 421, "The request is for another host")
INVALID = ProblemType("invalid", 422, "The document breaks rules")
UNDECODABLE = ProblemType("undecodable", 422, "The document is not JSON in UTF-8")
RATE_LIMITED = ProblemType("rate-limited", 429, "Too many requests of one client")
DAMAGED = ProblemType("damaged", 500, "The stored order is incomplete")
INTERNAL = ProblemType("internal", 500, "Something went wrong here")
MISCONFIGURED = ProblemType("misconfigured", 500, "This service lacks a right that it needs")
UNSUPPORTED = ProblemType("unsupported", 501, "The database that is used here cannot do that")
UNAVAILABLE = ProblemType("unavailable", 503, "A server that is needed is down")
OVERLOADED = ProblemType("overloaded", 503, "Too many requests at a time")

NO_ACCESS_CONTROL = (
    "this API has no access control, so anybody could delete orders: use `orders forget`"
)
"""Why DELETE of an order is forbidden without ORDERS_HTTP_AUTH."""

PROBLEM_TYPES = (
    *(INVALID_REQUEST, INCOMPLETE_BODY, UNAUTHORIZED, CROSS_SITE, FORBIDDEN, ORDER_NOT_FOUND),
    *(UNKNOWN_PATH, METHOD_NOT_ALLOWED, NOT_ACCEPTABLE, SLOW_BODY, TOO_LARGE),
    *(UNSUPPORTED_ENCODING, MISDIRECTED, INVALID, UNDECODABLE, RATE_LIMITED, DAMAGED, INTERNAL),
    *(MISCONFIGURED, UNSUPPORTED, UNAVAILABLE, OVERLOADED),
)
"""All problem types of this service, by status."""

_OF_DOMAIN: dict[type[Exception], ProblemType] = {
    DamagedOrder: DAMAGED,
    NotFound: ORDER_NOT_FOUND,
    TooLarge: TOO_LARGE,
    Undecodable: UNDECODABLE,
    Invalid: INVALID,
    Misconfigured: MISCONFIGURED,
    Unsupported: UNSUPPORTED,
    Overloaded: OVERLOADED,
    Unavailable: UNAVAILABLE,
    Abandoned: INCOMPLETE_BODY,
}
_OF_FRAMEWORK = {
    400: (INVALID_REQUEST, "the request cannot be read"),
    404: (UNKNOWN_PATH, "nothing is served at this path"),
    405: (METHOD_NOT_ALLOWED, "the Allow header lists the methods that apply"),
    413: (TOO_LARGE, "the body is larger than this service reads"),
}
_RETRY_AFTER = (b"retry-after", b"%d" % RETRY_AFTER_SECONDS)
_FORWARDED_HEADERS = {"allow"}
_VARY = (b"vary", b"accept")
"""For browsers the response is a page."""

_encode = msgspec.json.Encoder().encode


class HTTPProblem(Exception):
    """Raised for a request that is refused before it reaches a use case.

    Args:
        problem_type: the type of the problem.
        detail: a sentence for people, without personal data.
        errors: the single faults, where there can be several.
        user_message: the text on an error page, where that of the type is not specific enough.
        headers: further headers of the response.
    """

    def __init__(
        self,
        problem_type: ProblemType,
        detail: str,
        errors: Sequence[ProblemError] = (),
        user_message: UserMessage | None = None,
        headers: Sequence[Header] = (),
    ) -> None:
        super().__init__(detail)
        self.problem_type = problem_type
        self.errors = tuple(errors)
        self.user_message = user_message
        self.headers = tuple(headers)


def is_foreseen(error: Exception) -> bool:
    """Whether ``error`` has a problem type other than ``internal``."""
    return isinstance(error, HTTPProblem | HTTPException) or _type_of(error) is not INTERNAL


def code_of(error: Exception) -> str:
    """Return the code of the problem that ``error`` is for clients."""
    return problem_and_headers(error, "")[0].code


def problem_response(error: Exception, request_id: str) -> RawResponse:
    """Return the problem response for ``error``."""
    found, headers = problem_and_headers(error, request_id)
    return encoded(found, *headers)


def problem_and_headers(error: Exception, request_id: str) -> tuple[Problem, tuple[Header, ...]]:
    """Return problem details for ``error``, and the headers that belong to them.

    The text of an unforeseen error is left out, and so is Litestar's, which quotes the request.
    """
    detail = str(error)
    errors: tuple[ProblemError, ...] = ()
    headers: tuple[Header, ...] = ()
    if isinstance(error, HTTPProblem):
        problem_type, errors, headers = error.problem_type, error.errors, error.headers
    elif isinstance(error, HTTPException):
        problem_type, detail = _of_framework(error.status_code)
        headers = _headers(error)
    else:
        problem_type = _type_of(error)
        if isinstance(error, Invalid):
            errors = tuple(ProblemError(fault.rule, fault.pointer) for fault in error.faults)
        elif problem_type is INTERNAL:
            detail = "the request id leads to what the log knows about it"
    if problem_type.status == UNAVAILABLE.status:
        headers = (_RETRY_AFTER, *headers)
    return problem(problem_type, detail, request_id, errors), headers


def problem(
    problem_type: ProblemType, detail: str, request_id: str, errors: Sequence[ProblemError] = ()
) -> Problem:
    """Create problem details of this type."""
    return Problem(
        type=_TYPE + problem_type.code,
        title=problem_type.title,
        status=problem_type.status,
        detail=detail,
        code=problem_type.code,
        request_id=request_id,
        errors=tuple(errors) or UNSET,
    )


def encoded(found: Problem, *headers: Header) -> RawResponse:
    """Encode problem details as a response that is not cached."""
    body = _encode(found)
    return RawResponse.of(
        body, NO_STORE, _VARY, *headers, media_type=MEDIA_TYPE, status=found.status
    )


def _type_of(error: Exception) -> ProblemType:
    found = _OF_DOMAIN.get(type(error))
    return found or next((_OF_DOMAIN[c] for c in type(error).__mro__ if c in _OF_DOMAIN), INTERNAL)


def _of_framework(status: int) -> tuple[ProblemType, str]:
    if status in _OF_FRAMEWORK:
        return _OF_FRAMEWORK[status]
    phrase = HTTPStatus(status).phrase
    problem_type = ProblemType(phrase.lower().replace(" ", "-"), status, phrase)
    return (INTERNAL if status == INTERNAL.status else problem_type), phrase


def _headers(error: HTTPException) -> tuple[Header, ...]:
    return tuple(
        (name.lower().encode(), ", ".join(sorted(value.split(", "))).encode())
        for name, value in (error.headers or {}).items()
        if name.lower() in _FORWARDED_HEADERS
    )
