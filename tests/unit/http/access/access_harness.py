"""The API with access control, on memory twins, and keys to it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec

from orders.config import Settings
from orders.entrypoints.http.access import key_file
from orders.entrypoints.http.access.scopes import ScopeName
from tests.unit.http.harness import SETTINGS, Api

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
SECRET = "s" * 32
"""Signs sessions."""


def new_key(path: Path, *scopes: ScopeName, expires: datetime | None = None) -> tuple[str, str]:
    """Add a key to the file; returns its id and the key itself."""
    stored, key = key_file.new_key("test", scopes, NOW, expires)
    key_file.edit(path, lambda existing: (*existing, stored), create=True)
    return stored.id, key


def write(path: Path, content: bytes | str) -> None:
    """Put this into the file; here, so that tests of the event loop need not."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def content(path: Path) -> bytes:
    return path.read_bytes()


def remove(path: Path) -> None:
    path.unlink()


def protected(path: Path, **more: Any) -> Settings:
    """Settings of an API with the keys in this file."""
    changes = {"http_auth": "keys", "http_keys_file": str(path), **more}
    return msgspec.structs.replace(SETTINGS, **changes)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@asynccontextmanager
async def client_from(
    app: Any, address: str = "192.0.2.1", url: str = "http://test"
) -> AsyncIterator[httpx.AsyncClient]:
    """A client with this address."""
    transport = httpx.ASGITransport(app, client=(address, 1234))
    async with httpx.AsyncClient(transport=transport, base_url=url) as client:
        yield client


def app(settings: Settings, api: Api | None = None, **others: Any) -> Any:
    api = api or Api()
    api.settings = settings
    return api.app(**others)


async def raw(
    app: Any,
    path: bytes,
    headers: Sequence[tuple[bytes, bytes]] = (),
    *,
    method: str = "GET",
    decoded: str | None = None,
    kind: str = "http",
    client: tuple[str, int] | None = ("192.0.2.1", 1),
) -> list[dict[str, Any]]:
    """What the application sends on a request that no client library would make."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect" if kind == "websocket" else "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope: dict[str, Any] = {
        "type": kind,
        "method": method,
        "path": path.decode(errors="replace") if decoded is None else decoded,
        "raw_path": path,
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "headers": [(b"host", b"test"), *headers],
        "client": client,
    }
    if kind == "websocket":
        scope["subprotocols"] = []
    await app(scope, receive, send)
    return sent
