"""What the consumer logs about its work."""

from collections.abc import MutableMapping
from typing import Any

import pytest
from structlog.testing import capture_logs

from orders.adapters.logged.ingest_summary import SUMMARY_INTERVAL, IngestSummary
from orders.domain.use_cases.ingest_batch import IngestReport
from tests.waiting import until

REPORT = IngestReport(messages=3, saved=2, unchanged=1, dead={"invalid": 4})


async def test_every_batch_at_debug_and_sums_now_and_then_at_info() -> None:
    now = 0.0
    summary = IngestSummary(lambda: now)
    with capture_logs() as logs:
        summary.add(REPORT, 0.0123)
        summary.add(REPORT, 0.5)
        now = SUMMARY_INTERVAL
        summary.add(REPORT, 0.5)
        summary.flush()
    single = {"messages": 3, "saved": 2, "unchanged": 1, "dead_invalid": 4}
    double = {name: 2 * number for name, number in single.items()}
    assert [entry for entry in logs if entry["log_level"] == "debug"] == [
        {"event": "batch stored", "log_level": "debug", "ms": ms, **single}
        for ms in (12.3, 500.0, 500.0)
    ]
    assert [entry for entry in logs if entry["log_level"] == "info"] == [
        {"event": "stored", "log_level": "info", "batches": 1, **single},
        {"event": "stored", "log_level": "info", "batches": 2, **double},
    ]


async def test_the_last_batch_of_a_burst_is_flushed_though_none_follows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("orders.adapters.logged.ingest_summary.SUMMARY_INTERVAL", 0.05)
    summary = IngestSummary()
    with capture_logs() as logs:
        summary.add(REPORT, 0.1)
        summary.add(REPORT, 0.1)
        summary.add(REPORT, 0.1)
        await until(lambda: _sums(logs) != [1])
    assert _sums(logs) == [1, 2]


def _sums(logs: list[MutableMapping[str, Any]]) -> list[int]:
    return [line["batches"] for line in logs if line["event"] == "stored"]


def test_nothing_is_logged_without_batches() -> None:
    with capture_logs() as logs:
        IngestSummary().flush()
    assert logs == []
