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
from orders.entrypoints.http.answer import NO_STORE, Answer, Header

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


class Kind(NamedTuple):
    """A kind of problem: its code, status and title."""

    code: str
    status: int
    title: str


class Sentence(NamedTuple):
    """Something to say to people: the name of a text that pages have, and what is put into it."""

    name: str
    values: Mapping[str, object]


INVALID_REQUEST = Kind("invalid-request", 400, "The request is not valid")
ORDER_NOT_FOUND = Kind("not-found", 404, "There is no such order")
UNKNOWN_PATH = Kind("unknown-path", 404, "Nothing is served at this path")
METHOD_NOT_ALLOWED = Kind("method-not-allowed", 405, "This method does not apply here")
NOT_ACCEPTABLE = Kind("not-acceptable", 406, "No acceptable form to answer in")
TOO_LARGE = Kind("too-large", 413, "Too much at once")
UNSUPPORTED_ENCODING = Kind("unsupported-media-type", 415, "The body is encoded")
INVALID = Kind("invalid", 422, "The document breaks rules")
UNDECODABLE = Kind("undecodable", 422, "The document is not JSON in UTF-8")
INTERNAL = Kind("internal", 500, "Something went wrong here")
UNAVAILABLE = Kind("unavailable", 503, "A server that is needed is away")

KINDS = (
    *(INVALID_REQUEST, ORDER_NOT_FOUND, UNKNOWN_PATH, METHOD_NOT_ALLOWED, NOT_ACCEPTABLE),
    *(TOO_LARGE, UNSUPPORTED_ENCODING, INVALID, UNDECODABLE, INTERNAL, UNAVAILABLE),
)
"""All that this service answers itself, by status."""

_OF_DOMAIN: dict[type[Exception], Kind] = {
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


class RequestRefused(Exception):
    """A request that never reaches a use case, and why.

    Args:
        kind: what kind of problem it is.
        detail: a sentence for people, free of personal data.
        errors: the single faults, where there can be several.
        sentence: what a page says of it, where the kind does not tell enough.
    """

    def __init__(
        self,
        kind: Kind,
        detail: str,
        errors: Sequence[ProblemError] = (),
        sentence: Sentence | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.errors = tuple(errors)
        self.sentence = sentence


def is_foreseen(error: Exception) -> bool:
    """Whether ``answer_to`` has more to say about it than that something went wrong."""
    return isinstance(error, RequestRefused | HTTPException) or _kind_of(error) is not INTERNAL


def answer_to(error: Exception, request_id: str) -> Answer:
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
    if isinstance(error, RequestRefused):
        kind, errors = error.kind, error.errors
    elif isinstance(error, HTTPException):
        kind, detail = _of_framework(error.status_code)
        headers = _headers(error)
    else:
        kind = _kind_of(error)
        if isinstance(error, Invalid):
            errors = tuple(ProblemError(fault.rule, fault.pointer) for fault in error.faults)
        elif kind is UNAVAILABLE:
            headers = ((b"retry-after", b"%d" % RETRY_AFTER_SECONDS),)
        elif kind is INTERNAL:
            detail = "the request id leads to what the log knows about it"
    return problem(kind, detail, request_id, errors), headers


def problem(
    kind: Kind, detail: str, request_id: str, errors: Sequence[ProblemError] = ()
) -> Problem:
    """Problem details of this kind."""
    return Problem(
        type=_TYPE + kind.code,
        title=kind.title,
        status=kind.status,
        detail=detail,
        code=kind.code,
        request_id=request_id,
        errors=tuple(errors) or UNSET,
    )


def encoded(found: Problem, *headers: Header) -> Answer:
    """Problem details as an answer, which no cache keeps."""
    body = _encode(found)
    return Answer.of(body, NO_STORE, _VARY, *headers, media_type=MEDIA_TYPE, status=found.status)


def _kind_of(error: Exception) -> Kind:
    found = _OF_DOMAIN.get(type(error))
    return found or next((_OF_DOMAIN[c] for c in type(error).__mro__ if c in _OF_DOMAIN), INTERNAL)


def _of_framework(status: int) -> tuple[Kind, str]:
    if status in _OF_FRAMEWORK:
        return _OF_FRAMEWORK[status]
    phrase = HTTPStatus(status).phrase
    kind = Kind(phrase.lower().replace(" ", "-"), status, phrase)
    return (INTERNAL if status == INTERNAL.status else kind), phrase


def _headers(error: HTTPException) -> tuple[Header, ...]:
    return tuple(
        (name.lower().encode(), ", ".join(sorted(value.split(", "))).encode())
        for name, value in (error.headers or {}).items()
        if name.lower() in _KEPT_HEADERS
    )
