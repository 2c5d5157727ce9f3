"""Ages, and wrong usage, of `orders purge` and `orders forget`."""

from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from orders.domain.errors import Unavailable
from orders.entrypoints.cli.main import main
from orders.entrypoints.cli.purge import _ago

NOW = datetime(2024, 2, 29, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("amount", "unit", "then"),
    [
        (36, "h", "2024-02-28T00:30"),
        (90, "d", "2023-12-01T12:30"),
        (2, "w", "2024-02-15T12:30"),
        (1, "mo", "2024-01-29T12:30"),
        (2, "mo", "2023-12-29T12:30"),
        (12, "mo", "2023-02-28T12:30"),
        (14, "mo", "2022-12-29T12:30"),
        (1, "y", "2023-02-28T12:30"),
        (4, "y", "2020-02-29T12:30"),
        (2023, "y", "0001-02-28T12:30"),
    ],
)
def test_months_and_years_are_those_of_the_calendar(amount: int, unit: str, then: str) -> None:
    assert _ago(amount, unit, NOW) == datetime.fromisoformat(then).replace(tzinfo=UTC)


@pytest.mark.parametrize("age", ["", "5", "y", "0d", "-1d", "1.5y", "5Y", "9999y", "999999mo"])
def test_what_is_no_age(age: str) -> None:
    done = CliRunner().invoke(main, ["purge", "--older-than", age])
    assert (done.exit_code, "not an age" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["purge"], "--older-than or --tombstones-older-than"),
        (["purge", "--dry-run"], "--older-than or --tombstones-older-than"),
        (["purge", "--tombstones-older-than", "1y", "--dry-run"], "it needs --older-than"),
        (["forget"], "no UID was given"),
        (["forget", "--stdin"], "no UID was given"),
    ],
)
def test_nothing_is_deleted_without_a_choice(arguments: list[str], said: str) -> None:
    done = CliRunner().invoke(main, arguments, input="\n")
    assert (done.exit_code, said in done.stderr) == (2, True)


@pytest.mark.parametrize(
    "line", [b"x" * 256, b" \t", b"a\0b", b"latin-1: \xfc", b'{"order_uid": "a"}' + b" " * 300]
)
def test_what_no_order_can_be_called_is_not_forgotten(line: bytes) -> None:
    done = CliRunner().invoke(main, ["forget", "--stdin"], input=b"a\n" + line + b"\n")
    assert (done.exit_code, "UID 2 is none that an order can have" in done.stderr) == (2, True)
    assert line.decode(errors="ignore") not in done.stderr


def test_the_mark_of_utf_8_is_no_part_of_a_uid(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[str] = []

    async def forget(_container: object, uids: list[str], _audit: object) -> int:
        given.extend(uids)
        raise Unavailable("down")

    monkeypatch.setattr("orders.entrypoints.cli.forget._forget", forget)
    environment = {"ORDERS_POSTGRES_DSN": "postgresql://127.0.0.1:1/nobody"}
    done = CliRunner(env=environment, charset="latin-1").invoke(
        main, ["forget", "--stdin"], input="\ufeffa\r\nb\u00fc\n".encode()
    )
    assert (done.exit_code, given) == (1, ["a", "b\u00fc"])


def test_without_a_database_there_is_nothing_to_delete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ORDERS_POSTGRES_DSN", raising=False)
    for arguments in (["forget", "a"], ["purge", "--older-than", "5y"]):
        done = CliRunner().invoke(main, arguments)
        assert (done.exit_code, "ORDERS_POSTGRES_DSN: is required" in done.stderr) == (2, True)


@pytest.mark.parametrize("answer", [None, "n\n"])
def test_purge_asks_without_a_terminal_too(answer: str | None) -> None:
    environment = {"ORDERS_POSTGRES_DSN": "postgresql://127.0.0.1:1/nobody?connect_timeout=1"}
    done = CliRunner(env=environment).invoke(main, ["purge", "--older-than", "5y"], input=answer)
    assert (done.exit_code, "Aborted!" in done.stderr) == (1, True)
