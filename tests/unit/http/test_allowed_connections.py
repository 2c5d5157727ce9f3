"""What a worker allows clients, by the files and the memory that it has."""

import resource

import pytest
from structlog.testing import capture_logs

from orders.entrypoints.http import server

MIB = 2**20


@pytest.mark.parametrize(
    ("files", "memory", "workers", "has_tls", "allowed"),
    [
        (100_000, 24_000, 1, False, 1_024),
        (100_000, 768, 1, False, 1_024),
        (100_000, 768, 1, True, 366),
        (100_000, 768, 2, True, 183),
        (100_000, 2_048, 1, True, 1_024),
        (100_000, 200, 1, False, 699),
        (1_024, 768, 1, False, 768),
        (612, 24_000, 1, True, 178),
        (100, 24_000, 1, False, 1),
    ],
)
def test_allowed_connections(
    monkeypatch: pytest.MonkeyPatch,
    *,
    files: int,
    memory: int,
    workers: int,
    has_tls: bool,
    allowed: int,
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (files, files))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)  # it would hold for other tests
    monkeypatch.setattr(server, "usable_memory", lambda: memory * MIB)
    with capture_logs() as lines:
        assert server._allow_connections(1_024, workers, has_tls=has_tls) == allowed
    reasons = [line["reason"] for line in lines if line["event"] == "fewer connections are allowed"]
    if allowed == 1_024:
        assert not reasons
    else:
        is_memory = memory < 2_048 and files > 2_000
        [reason] = reasons
        assert ("memory" in reason) == is_memory


@pytest.mark.parametrize(
    ("memory", "workers", "allowed"),
    [(24_000, 1, 64), (768, 1, 64), (768, 4, 16), (24_000, 64, 31), (240, 1, 20)],
)
def test_bytes_that_may_wait_for_clients_and_that_requests_may_have(
    monkeypatch: pytest.MonkeyPatch, memory: int, workers: int, allowed: int
) -> None:
    monkeypatch.setattr(server, "usable_memory", lambda: memory * MIB)
    assert server._most_client_bytes(workers) // MIB == allowed
