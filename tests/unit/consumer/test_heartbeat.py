"""The heartbeat file."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Literal

from orders.domain.use_cases.check_readiness import Readiness
from orders.entrypoints.consumer.heartbeat import heartbeat

State = Literal["ready", "degraded", "unavailable"]


class Consumer:
    def __init__(self) -> None:
        self.state: State = "ready"

    async def readiness(self) -> Readiness:
        return Readiness(self.state, {})


async def beats(path: Path, seconds: float = 0.1) -> bool:
    """Whether the file is touched now."""
    path.unlink(missing_ok=True)  # noqa: ASYNC240
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while not path.exists():  # noqa: ASYNC110, ASYNC240
                await asyncio.sleep(0.005)
        return True
    return False


async def test_beats_only_while_it_can_work_and_is_gone_at_the_end(tmp_path: Path) -> None:
    path, consumer = tmp_path / "alive", Consumer()
    async with heartbeat(path, consumer.readiness, interval=0.01):
        assert await beats(path, 5)
        consumer.state = "degraded"
        assert await beats(path, 5)
        consumer.state = "unavailable"
        await asyncio.sleep(0.05)
        assert not await beats(path)
        consumer.state = "ready"
        assert await beats(path, 5)
    assert not path.exists()


async def test_a_file_that_cannot_be_written_does_not_stop_the_work(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "alive"
    async with heartbeat(path, Consumer().readiness, interval=0.01):
        await asyncio.sleep(0.05)
        path.parent.mkdir()
        assert await beats(path, 5)
