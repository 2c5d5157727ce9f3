import httpx
import pytest
from structlog.testing import capture_logs

from tests.unit.http.harness import Api


async def test_live_whatever_is_away(api: Api, client: httpx.AsyncClient) -> None:
    api.postgres.reason = api.kafka.reason = "away"
    answer = await client.get("/health/live")
    assert (answer.status_code, answer.json()) == (200, {"state": "live"})
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("postgres", "kafka", "status", "state"),
    [
        ("", "", 200, "ready"),
        ("", "away", 200, "degraded"),
        ("away", "", 503, "unavailable"),
        ("away", "away", 503, "unavailable"),
    ],
)
async def test_ready(  # noqa: PLR0917
    api: Api, client: httpx.AsyncClient, postgres: str, kafka: str, status: int, state: str
) -> None:
    api.postgres.reason, api.kafka.reason = postgres, kafka
    answer = await client.get("/health/ready")
    assert answer.status_code == status
    assert answer.headers["cache-control"] == "no-store"
    found = answer.json()
    assert found["state"] == state
    for name, reason in (("postgres", postgres), ("kafka", kafka)):
        assert found["parts"][name]["state"] == ("down" if reason else "up")
        assert found["parts"][name].get("reason", "") == reason
        assert found["parts"][name]["since"].endswith("Z")
    head = await client.head("/health/ready")
    assert (head.status_code, head.content) == (status, b"")


async def test_anybody_may_ask_and_no_answer_is_a_line_of_the_log(
    api: Api, client: httpx.AsyncClient
) -> None:
    api.postgres.reason = "away"
    with capture_logs() as lines:
        assert (await client.get("/health/ready")).status_code == 503
    assert lines == []
