"""Problem details (RFC 9457): every error that the API answers, and how each is told."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import NamedTuple

import msgspec
from litestar.exceptions import HTTPException
from msgspec import UNSET, Struct, UnsetType

from orders.domain.errors import (
    Invalid,
    NotFound,
    TooLarge,
    Unavailable,
    Undecodable,
)
from orders.entrypoints.http.responses import NO_STORE, Header, RawResponse

MEDIA_TYPE = b"application/problem+json"
RETRY_AFTER_SECONDS = 5
_TYPE = "urn:orders:problem:"


class ProblemError(Struct, frozen=True, omit_defaults=True):
    """One fault: where it is, as a JSON pointer into the body or a parameter's name, and what."""

    detail: str
    pointer: str | UnsetType = UNSET
    parameter: str | UnsetType = UNSET


class Problem(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What went wrong (RFC 9457). ``code`` is stable and made for programs; texts may change."""

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
    """Something to say to people: the name of a text that pages have, and what is put into it."""

    name: str
    values: Mapping[str, object]


INVALID_REQUEST = ProblemType("invalid-request", 400, "The request is not valid")
ORDER_NOT_FOUND = ProblemType("not-found", 404, "There is no such order")
UNKNOWN_PATH = ProblemType("unknown-path", 404, "Nothing is served at this path")
METHOD_NOT_ALLOWED = ProblemType("method-not-allowed", 405, "This method does not apply here")
NOT_ACCEPTABLE = ProblemType("not-acceptable", 406, "No acceptable form to answer in")
TOO_LARGE = ProblemType("too-large", 413, "Too much at once")
UNSUPPORTED_ENCODING = ProblemType("unsupported-media-type", 415, "The body is encoded")
INVALID = ProblemType("invalid", 422, "The document breaks rules")
UNDECODABLE = ProblemType("undecodable", 422, "The document is not JSON in UTF-8")
INTERNAL = ProblemType("internal", 500, "Something went wrong here")
UNAVAILABLE = ProblemType("unavailable", 503, "A server that is needed is down")

PROBLEM_TYPES = (
    *(INVALID_REQUEST, ORDER_NOT_FOUND, UNKNOWN_PATH, METHOD_NOT_ALLOWED, NOT_ACCEPTABLE),
    *(TOO_LARGE, UNSUPPORTED_ENCODING, INVALID, UNDECODABLE, INTERNAL, UNAVAILABLE),
)
"""All that this service answers itself, by status."""

_OF_DOMAIN: dict[type[Exception], ProblemType] = {
    NotFound: ORDER_NOT_FOUND,
    TooLarge: TOO_LARGE,
    Undecodable: UNDECODABLE,
    Invalid: INVALID,
    Unavailable: UNAVAILABLE,
}
_OF_FRAMEWORK = {
    400: (INVALID_REQUEST, "the request cannot be read"),
    404: (UNKNOWN_PATH, "nothing is served at this path"),
    405: (METHOD_NOT_ALLOWED, "the Allow header lists the methods that apply"),
    413: (TOO_LARGE, "the body is larger than this service reads"),
}
_KEPT_HEADERS = {"allow"}
_VARY = (b"vary", b"accept")
"""Browsers get a page instead."""

_encode = msgspec.json.Encoder().encode


class HTTPProblem(Exception):
    """A request that never reaches a use case, and why.

    Args:
        problem_type: what kind of problem it is.
        detail: a sentence for people, free of personal data.
        errors: the single faults, where there can be several.
        user_message: what a page says of it, where the type does not tell enough.
    """

    def __init__(
        self,
        problem_type: ProblemType,
        detail: str,
        errors: Sequence[ProblemError] = (),
        user_message: UserMessage | None = None,
    ) -> None:
        super().__init__(detail)
        self.problem_type = problem_type
        self.errors = tuple(errors)
        self.user_message = user_message


def is_foreseen(error: Exception) -> bool:
    """Whether ``answer_to`` has more to say about it than that something went wrong."""
    return isinstance(error, HTTPProblem | HTTPException) or _type_of(error) is not INTERNAL


def answer_to(error: Exception, request_id: str) -> RawResponse:
    """The answer to a request that ended in ``error``."""
    found, headers = problem_and_headers(error, request_id)
    return encoded(found, *headers)


def problem_and_headers(error: Exception, request_id: str) -> tuple[Problem, tuple[Header, ...]]:
    """What there is to say of an ``error`` in which a request ended, and headers that go with it.

    Nothing of an unforeseen error is told, nor the framework's words, which quote requests.
    """
    detail = str(error)
    errors: tuple[ProblemError, ...] = ()
    headers: tuple[Header, ...] = ()
    if isinstance(error, HTTPProblem):
        problem_type, errors = error.problem_type, error.errors
    elif isinstance(error, HTTPException):
        problem_type, detail = _of_framework(error.status_code)
        headers = _headers(error)
    else:
        problem_type = _type_of(error)
        if isinstance(error, Invalid):
            errors = tuple(ProblemError(fault.rule, fault.pointer) for fault in error.faults)
        elif problem_type is UNAVAILABLE:
            headers = ((b"retry-after", b"%d" % RETRY_AFTER_SECONDS),)
        elif problem_type is INTERNAL:
            detail = "the request id leads to what the log knows about it"
    return problem(problem_type, detail, request_id, errors), headers


def problem(
    problem_type: ProblemType, detail: str, request_id: str, errors: Sequence[ProblemError] = ()
) -> Problem:
    """Problem details of this type."""
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
    """Problem details as an answer, which no cache keeps."""
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
        if name.lower() in _KEPT_HEADERS
    )
