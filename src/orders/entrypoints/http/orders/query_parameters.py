"""Parses the query parameters of a request."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from orders.entrypoints.http.problems import INVALID_REQUEST, HTTPProblem, ProblemError

_MOST = 32
"""Parameters of a query, valid or not."""


def query_pairs(query_string: bytes) -> list[tuple[str, str]]:
    """Decode the names and values in the query of a URL.

    Raises:
        HTTPProblem: it is not percent-encoded UTF-8, or has too many parameters.
    """
    try:
        return parse_qsl(
            query_string.decode(), keep_blank_values=True, errors="strict", max_num_fields=_MOST
        )
    except UnicodeDecodeError:
        detail = "the query is not percent-encoded UTF-8"
    except ValueError:
        detail = "the query has too many parameters"
    raise HTTPProblem(INVALID_REQUEST, detail)


def query_values(
    pairs: Iterable[tuple[str, str]], readers: Mapping[str, Callable[[str], Any]]
) -> dict[str, Any]:
    """Parse each parameter by the reader of its name, which raises ValueError.

    Raises:
        HTTPProblem: with every parameter that is unknown, repeated or not valid.
    """
    values: dict[str, Any] = {}
    errors: list[ProblemError] = []
    for name, text in pairs:
        if name not in readers:
            errors.append(ProblemError("is not known here", parameter=name))
        elif name in values:
            errors.append(ProblemError("is given more than once", parameter=name))
        else:
            try:
                values[name] = readers[name](text)
            except ValueError as error:
                values[name] = None
                errors.append(ProblemError(str(error), parameter=name))
    if errors:
        raise HTTPProblem(INVALID_REQUEST, "parameters are not valid", errors)
    return values
