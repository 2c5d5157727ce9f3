"""Building blocks of operations."""

from typing import Any

import msgspec

from orders.entrypoints.http.docs.openapi.examples import REQUEST_ID
from orders.entrypoints.http.docs.openapi.schemas import REF
from orders.entrypoints.http.problems import (
    MEDIA_TYPE,
    METHOD_NOT_ALLOWED,
    RATE_LIMITED,
    RETRY_AFTER_SECONDS,
    UNAUTHORIZED,
    UNAVAILABLE,
    ProblemError,
    ProblemType,
    problem,
)


def ref(name: str) -> dict[str, str]:
    """Return a reference to a schema."""
    return {"$ref": REF + name}


def array_of(name: str, **more: Any) -> dict[str, Any]:
    """Return the schema of an array."""
    return {"type": "array", "items": ref(name), **more}


def content(media_type: str, schema: dict[str, Any], **examples: Any) -> dict[str, Any]:
    """Return the content of a body, with examples by name."""
    shown = {name: {"value": value} for name, value in examples.items()}
    return {media_type: {"schema": schema} | ({"examples": shown} if shown else {})}


def headers(**descriptions: str) -> dict[str, Any]:
    """Return response headers by name (``_`` for ``-``) with descriptions."""
    return {
        name.replace("_", "-"): {"description": text, "schema": {"type": "string"}}
        for name, text in descriptions.items()
    }


def problems(*described: tuple[ProblemType, str, tuple[ProblemError, ...]]) -> dict[str, Any]:
    """Return the responses for problem types, each with a detail and errors as its example."""
    responses: dict[str, Any] = {}
    for problem_type, detail, errors in described:
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
        if problem_type.status == UNAVAILABLE.status:
            seconds = (
                f"Seconds to wait before the same request is sent again: {RETRY_AFTER_SECONDS}."
            )
            response["headers"] = headers(Retry_After=seconds)
        if problem_type is RATE_LIMITED:
            response["headers"] = headers(Retry_After="Seconds to wait before the next request.")
        if problem_type is UNAUTHORIZED:
            response["headers"] = headers(WWW_Authenticate="Bearer, and whether one was sent.")
        if problem_type is METHOD_NOT_ALLOWED:
            response["headers"] = headers(Allow="The methods of this path.")
    return responses


def merged(responses: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Return the responses of both; where they share a status, either may come."""
    found = dict(responses)
    for status, response in more.items():
        if status not in found:
            found[status] = response
            continue
        content = dict(found[status]["content"])
        media_type = MEDIA_TYPE.decode()
        examples = {
            **content[media_type]["examples"],
            **response["content"][media_type]["examples"],
        }
        content[media_type] = {**content[media_type], "examples": examples}
        description = f"{found[status]['description']}; or: {response['description']}"
        found[status] = {**found[status], "description": description, "content": content}
    return found
