"""The pieces that operations are written with."""

from typing import Any

import msgspec

from orders.entrypoints.http.docs.openapi.examples import REQUEST_ID
from orders.entrypoints.http.docs.openapi.schemas import REF
from orders.entrypoints.http.problems import (
    MEDIA_TYPE,
    METHOD_NOT_ALLOWED,
    RETRY_AFTER_SECONDS,
    UNAVAILABLE,
    ProblemError,
    ProblemType,
    problem,
)


def ref(name: str) -> dict[str, str]:
    """A reference to a schema."""
    return {"$ref": REF + name}


def array_of(name: str, **more: Any) -> dict[str, Any]:
    """The schema of an array of these."""
    return {"type": "array", "items": ref(name), **more}


def content(media_type: str, schema: dict[str, Any], **examples: Any) -> dict[str, Any]:
    """A body of this type, with examples by name."""
    shown = {name: {"value": value} for name, value in examples.items()}
    return {media_type: {"schema": schema} | ({"examples": shown} if shown else {})}


def headers(**described: str) -> dict[str, Any]:
    """Response headers by name (``_`` for ``-``) and what they say."""
    return {
        name.replace("_", "-"): {"description": text, "schema": {"type": "string"}}
        for name, text in described.items()
    }


def problems(*told: tuple[ProblemType, str, tuple[ProblemError, ...]]) -> dict[str, Any]:
    """Responses for kinds of problems, each with a detail and errors as its example."""
    responses: dict[str, Any] = {}
    for problem_type, detail, errors in told:
        response = responses.setdefault(
            str(problem_type.status),
            {
                "description": "",
                "content": {MEDIA_TYPE.decode(): {"schema": ref("Problem"), "examples": {}}},
            },
        )
        examples = response["content"][MEDIA_TYPE.decode()]["examples"]
        if problem_type.code not in examples:
            known = filter(None, [response["description"], problem_type.title])
            response["description"] = "; or: ".join(known)
        example = msgspec.to_builtins(problem(problem_type, detail, REQUEST_ID, errors))
        same = sum(1 for name in examples if name.split(".")[0] == problem_type.code)
        examples[f"{problem_type.code}.{same + 1}" if same else problem_type.code] = {
            "value": example
        }
        if problem_type is UNAVAILABLE:
            seconds = (
                f"Seconds to wait before the same request is sent again: {RETRY_AFTER_SECONDS}."
            )
            response["headers"] = headers(Retry_After=seconds)
        if problem_type is METHOD_NOT_ALLOWED:
            response["headers"] = headers(Allow="The methods that apply.")
    return responses
