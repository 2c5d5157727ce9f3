"""What a key may do, and what a route requires."""

from typing import Any, Literal, get_args

ScopeName = Literal["orders:read", "orders:write", "orders:admin"]
READ: ScopeName = "orders:read"
WRITE: ScopeName = "orders:write"
ADMIN: ScopeName = "orders:admin"
SCOPES: tuple[ScopeName, ...] = get_args(ScopeName)
"""All scopes. None of them implies another."""

Requirement = ScopeName | Literal["any key", "nothing"]
"""What a route requires: a scope, a valid key of any scope, or nothing."""
ANY_KEY: Literal["any key"] = "any key"
NOTHING: Literal["nothing"] = "nothing"

_OPT = "access"


def declared(requirement: Requirement) -> dict[str, Any]:
    """Return the ``opt`` of a route with this requirement."""
    return {_OPT: requirement}


def requirement_of(opt: dict[str, Any]) -> Requirement:
    """Return the requirement in the ``opt`` of a route; any key where none is declared."""
    found: Requirement = opt.get(_OPT, ANY_KEY)
    return found
