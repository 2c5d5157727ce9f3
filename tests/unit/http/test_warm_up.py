"""The API lives on, whatever comes of filling its cache at the start."""

import pytest
from structlog.testing import capture_logs

from orders.adapters.memory.cache import MemoryCache
from orders.adapters.memory.order_repository import MemoryOrderRepository
from orders.bootstrap import build_in_memory
from orders.config import Settings
from orders.domain.errors import Unavailable
from orders.domain.use_cases.warm_up_cache import WarmUpCache
from orders.entrypoints.http import asgi


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Unavailable("the cache is down"), "the cache is down"),
        (RuntimeError("hunter2"), "failed with RuntimeError"),
        (PermissionError(13, "hunter2"), "failed with PermissionError"),
    ],
)
async def test_a_failure_is_one_line_and_no_end(
    error: Exception, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Fails(WarmUpCache):
        async def __call__(self) -> int:
            raise error

    container = build_in_memory(Settings())
    warm_up = Fails(MemoryOrderRepository(), MemoryCache(1), 1)
    monkeypatch.setattr(container, "warm_up", lambda: warm_up)
    with capture_logs() as lines:
        await asgi._warm_up(container.warm_up())
    (line,) = lines
    assert (line["event"], line["log_level"]) == ("cache not warmed up", "warning")
    assert line["reason"] == reason
