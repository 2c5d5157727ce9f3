"""What runs beside a process from its start."""

import asyncio
from contextlib import suppress

import pytest
from structlog.testing import capture_logs

from orders.domain.errors import OrdersError, UnsuitableDatabase
from orders.entrypoints import startup
from orders.entrypoints.startup import exit_on_error, in_background


@pytest.mark.parametrize(("error", "code"), [(OrdersError, 1), (UnsuitableDatabase, 2)])
def test_an_error_of_ours_is_logged_as_a_reason_without_a_traceback(
    error: type[OrdersError], code: int
) -> None:
    with capture_logs() as logged, pytest.raises(SystemExit) as exited, exit_on_error():
        raise error("what is wrong")
    assert exited.value.code == code
    assert logged == [
        {"event": "cannot continue", "log_level": "critical", "reason": "what is wrong"}
    ]


async def test_work_that_takes_a_cancellation_for_a_failure_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(startup, "_CANCELLATION_SECONDS", 0.01)
    begun = asyncio.Event()

    async def work() -> None:
        with suppress(asyncio.CancelledError):  # as psycopg's pool while it connects
            begun.set()
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    async def block() -> None:
        async with in_background(work()):
            await begun.wait()

    running = asyncio.create_task(block())
    done, _ = await asyncio.wait([running], timeout=5)
    assert done == {running}


async def test_an_error_in_the_end_is_raised() -> None:
    begun = asyncio.Event()

    async def work() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            raise ValueError

    task = asyncio.create_task(work())
    await begun.wait()
    with pytest.raises(ValueError):  # noqa: PT011 (it has no text)
        await startup.end(task)
