"""Dead letters in the log: once they are safe, and without their values."""

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from orders.adapters.logged.dead_letters import MAX_LINES_OF_MESSAGE, LoggedDeadLetters
from orders.adapters.memory.dead_letters import MemoryDeadLetters
from orders.domain.errors import Unavailable
from orders.domain.intake.messages import DeadLetter, Message, Origin
from orders.log_budget import INTERVAL, MAX_LINES

DEAD_LETTER = DeadLetter(
    Message(Origin("orders", 3, 7), b"[secret]", b"private", 1, (("h", b"hidden"),)),
    index=2,
    value=b"secret",
    code="invalid",
    detail="$[2]: expected object, got str",
    failed_at=datetime(2026, 1, 1, tzinfo=UTC),
)


async def test_each_is_logged_with_its_place_and_reason_and_nothing_of_its_content() -> None:
    inner = MemoryDeadLetters()
    with capture_logs() as lines:
        await LoggedDeadLetters(inner).put([DEAD_LETTER])
    (line,) = lines
    assert line["log_level"] == "warning"
    assert (line["topic"], line["partition"], line["offset"], line["index"]) == ("orders", 3, 7, 2)
    assert (line["code"], line["detail"], line["attempt"]) == ("invalid", DEAD_LETTER.detail, 1)
    assert not {"secret", "private", "hidden"} & set(str(line).replace("'", " ").split())


async def test_the_many_of_a_message_are_counted() -> None:
    other = replace(
        DEAD_LETTER, message=replace(DEAD_LETTER.message, origin=Origin("orders", 3, 8))
    )
    with capture_logs() as lines:
        await LoggedDeadLetters(MemoryDeadLetters()).put([*[DEAD_LETTER] * 500, other])
    assert [line["event"] for line in lines] == [
        *["dead letter"] * MAX_LINES_OF_MESSAGE,
        "more dead letters of a message",
        "dead letter",
    ]
    assert lines[MAX_LINES_OF_MESSAGE]["count"] == 500 - MAX_LINES_OF_MESSAGE
    assert (lines[MAX_LINES_OF_MESSAGE]["offset"], lines[-1]["offset"]) == (7, 8)


async def test_the_lines_of_many_messages_are_bounded() -> None:
    now = 0.0
    logged = LoggedDeadLetters(MemoryDeadLetters(), lambda: now)
    flood = [
        replace(DEAD_LETTER, message=replace(DEAD_LETTER.message, origin=Origin("orders", 3, n)))
        for n in range(1_000)
    ]
    silent = "further dead letters are not logged for a while"
    for now in (0.0, INTERVAL - 0.1, INTERVAL):
        with capture_logs() as lines:
            for _ in range(3):
                await logged.put(flood)
        expected = [] if now == INTERVAL - 0.1 else [*["dead letter"] * MAX_LINES, silent]
        assert [line["event"] for line in lines] == expected


async def test_none_is_logged_that_is_not_safe() -> None:
    inner = MemoryDeadLetters()
    inner.available = False
    with capture_logs() as lines, pytest.raises(Unavailable):
        await LoggedDeadLetters(inner).put([DEAD_LETTER])
    assert lines == []
