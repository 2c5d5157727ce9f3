"""Types of the ASGI protocol.

Litestar's own types are exact about the literals in a scope, so other ASGI code does not fit them.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

Scope: TypeAlias = Any
"""A mutable mapping with the keys that ASGI defines for the type of connection."""
Message: TypeAlias = Any
"""A mutable mapping with the keys that ASGI defines for the type of event."""
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

WRITE_NOW = "orders.write_now"
"""The key in the scope of a request for a function of our connections: it writes a part of the body
of a response that has begun, or returns False if the client has yet to take earlier ones."""
