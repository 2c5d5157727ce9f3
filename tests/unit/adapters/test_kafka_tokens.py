"""Where the token for OAUTHBEARER comes from, and what is said when there is none."""

import shlex
from pathlib import Path

import pytest

from orders.adapters.kafka.client import tokens
from orders.adapters.kafka.client.failures import NotConnectedError
from orders.adapters.kafka.client.tokens import TokenProvider
from orders_dev.identity import identity
from tests.waiting import wait_until

SECRET = "hunter2"


def failure_of(provider: TokenProvider) -> NotConnectedError:
    with pytest.raises(NotConnectedError) as raised:
        provider.token()
    everything = f"{raised.value} {raised.value.failure} {provider!r} {raised.value.__cause__}"
    assert SECRET not in everything
    return raised.value


def test_the_file_is_read_again_each_time(tmp_path: Path) -> None:
    file = tmp_path / "token"
    provider = TokenProvider(str(file), None)
    for token in ("aaa.bbb.", "c-_~+/d=="):
        file.write_text(f"{token}\n")
        assert provider.token() == token


def test_the_command_is_run_again_each_time(tmp_path: Path) -> None:
    file = tmp_path / "a token"
    provider = TokenProvider(None, f"cat {shlex.quote(str(file))}")
    for token in ("aaa", "bbb"):
        file.write_text(token)
        assert provider.token() == token


@pytest.mark.parametrize("content", ["", f"{SECRET} x", f"{SECRET}\x01auth=Bearer x", "ключ"])
def test_what_is_not_a_token_is_not_sent(tmp_path: Path, content: str) -> None:
    file = tmp_path / "token"
    file.write_text(content)
    by_file = failure_of(TokenProvider(str(file), None))
    assert "is empty, or is not a token" in by_file.failure.reason
    assert "ORDERS_KAFKA_TOKEN_FILE" in by_file.failure.advice
    by_command = failure_of(TokenProvider(None, f"cat {file}"))
    assert by_command.failure.reason == by_file.failure.reason
    assert "ORDERS_KAFKA_TOKEN_COMMAND" in by_command.failure.advice


def test_a_file_that_is_missing(tmp_path: Path) -> None:
    provider = TokenProvider(str(tmp_path / SECRET), None)
    assert "cannot be read from its file" in failure_of(provider).failure.reason


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (f"sh -c 'echo {SECRET} >&2; echo {SECRET}; exit 3'", "its command ends with 3"),
        (f"/nowhere/{SECRET}", "its command cannot be run"),
    ],
)
def test_a_command_that_fails(command: str, reason: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert reason in failure_of(TokenProvider(None, command)).failure.reason
    assert capfd.readouterr() == ("", "")


def test_a_command_that_takes_too_long_is_ended_with_all_that_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "COMMAND_TIMEOUT", 0.5)
    file = tmp_path / "pid"
    provider = TokenProvider(None, f"sh -c 'sleep 1000 & echo $! > {file}; wait; echo {SECRET}'")
    assert "takes more than 0.5 s" in failure_of(provider).failure.reason
    started = int(file.read_text())
    wait_until(lambda: identity(started) is None, 10, "what it started has ended")
