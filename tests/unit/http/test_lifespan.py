"""The start and the end of the application."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from orders.domain.errors import UnknownSchema
from orders.entrypoints.http.app import create_app
from tests.unit.http.harness import Api

SECRET = "postgresql://orders:hunter2@db.example/orders"


async def live(lifespan: Any, happened: list[str]) -> None:
    """One life of an application, as a server leads it."""
    events = asyncio.Queue[dict[str, Any]]()
    events.put_nowait({"type": "lifespan.startup"})
    events.put_nowait({"type": "lifespan.shutdown"})

    async def send(message: dict[str, Any]) -> None:
        happened.append(message["type"])

    app = create_app(Api().use_cases(), lifespan=lifespan)
    await app({"type": "lifespan", "state": {}}, events.get, send)


async def test_the_server_hears_of_the_end_when_all_is_closed() -> None:
    happened: list[str] = []

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        happened.append("opened")
        yield
        happened.append("closed")

    await live(lifespan, happened)
    assert happened == [
        "opened",
        "lifespan.startup.complete",
        "closed",
        "lifespan.shutdown.complete",
    ]


@pytest.mark.parametrize(
    ("error", "code"),
    [(UnknownSchema("update orders"), 2), (RuntimeError(SECRET), 1), (SystemExit(5), 5)],
)
@pytest.mark.parametrize("when", ["opening", "closing"])
async def test_failure_ends_the_process(error: BaseException, code: int, when: str) -> None:
    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        if when == "opening":
            raise error
        yield
        raise error

    happened: list[str] = []
    with capture_logs() as lines, pytest.raises(SystemExit) as ended:
        await live(lifespan, happened)
    assert ended.value.code == code
    assert "lifespan.shutdown.complete" not in happened
    assert not any(event.endswith("failed") for event in happened)
    if not isinstance(error, SystemExit):
        (line,) = lines
        assert (line["event"], line["log_level"]) == ("cannot continue", "critical")
        assert line.get("reason") == ("update orders" if code == 2 else None)
