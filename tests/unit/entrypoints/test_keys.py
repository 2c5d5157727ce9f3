"""`orders keys`."""

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from orders.entrypoints.cli.main import main
from orders.entrypoints.http.access import key_file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(main, ["keys", *arguments], env=environment)


def new(path: Path, *more: str) -> Result:
    given = ("--file", str(path), "--name", "warehouse", "--scope", "orders:read")
    return run("new", *given, *more)


def test_a_key_is_the_only_output(path: Path) -> None:
    done = new(path, "--scope", "orders:write", "--scope", "orders:read")
    assert done.exit_code == 0
    (key,) = done.stdout.splitlines()
    (stored,) = key_file.read(path)
    assert bytes.fromhex(stored.sha256) == key_file.digest(key.encode())
    assert stored.scopes == ("orders:read", "orders:write")
    assert stored.expires is None
    assert stored.id in done.stderr
    assert key not in done.stderr


def test_the_file_may_be_named_by_the_setting(path: Path) -> None:
    done = run("new", "--name", "n", "--scope", "orders:admin", ORDERS_HTTP_KEYS_FILE=str(path))
    assert done.exit_code == 0
    assert key_file.read(path)[0].scopes == ("orders:admin",)


def test_the_list_shows_no_secret(path: Path) -> None:
    key = new(path, "--expires", "90d").stdout.strip()
    (stored,) = key_file.read(path)
    expired, _ = key_file.new_key(
        "old", ["orders:admin"], stored.created, datetime(2020, 1, 1, tzinfo=UTC)
    )
    key_file.edit(path, lambda keys: (*keys, expired))
    shown = run("list", "--file", str(path))
    assert shown.exit_code == 0
    head, first, second = shown.stdout.splitlines()
    assert head.split() == ["id", "state", "scopes", "created", "expires", "name"]
    assert first.split()[:3] == [stored.id, "valid", "orders:read"]
    assert second.split()[:3] == [expired.id, "expired", "orders:admin"]
    as_json = run("list", "--file", str(path), "--json")
    rows = [json.loads(line) for line in as_json.stdout.splitlines()]
    assert [row["name"] for row in rows] == ["warehouse", "old"]
    for output in (shown.output, as_json.output):
        assert key not in output
        assert stored.sha256 not in output


@pytest.mark.parametrize(
    ("text", "days"),
    [("90d", 90), ("1d", 1), ("2999-01-31", None), ("2999-01-31T12:00:00+03:00", None)],
)
def test_expiry(path: Path, text: str, days: int | None) -> None:
    assert new(path, "--expires", text).exit_code == 0
    (stored,) = key_file.read(path)
    assert stored.expires is not None
    if days is None:
        assert stored.expires.year == 2999
    else:
        assert abs(stored.expires - stored.created - timedelta(days=days)) < timedelta(minutes=1)


@pytest.mark.parametrize(
    "more",
    [
        ("--expires", "2020-01-31"),
        ("--expires", "0d"),
        ("--expires", "soon"),
        ("--expires", "99999999999d"),
        ("--expires", "²d"),
        ("--scope", "orders:all"),
        ("--name", ""),
        ("--name", "a\nb"),
        ("--name", "x" * 101),
    ],
)
def test_wrong_usage(path: Path, more: tuple[str, ...]) -> None:
    assert new(path, *more).exit_code == 2
    assert not path.exists()


def test_a_scope_has_to_be_chosen(path: Path) -> None:
    assert run("new", "--file", str(path), "--name", "n").exit_code == 2
    assert run("new", "--name", "n", "--scope", "orders:read").exit_code == 2


def test_revoking(path: Path) -> None:
    for _ in range(3):
        new(path)
    first, second, third = key_file.read(path)
    done = run("revoke", "--file", str(path), first.id, third.id)
    assert done.exit_code == 0
    assert key_file.read(path) == (second,)
    failed = run("revoke", "--file", str(path), second.id, "nope")
    assert failed.exit_code == 1
    assert "no such key: nope" in failed.stderr
    assert key_file.read(path) == (second,)


@pytest.mark.parametrize("command", [("list",), ("revoke", "x")])
def test_there_is_no_file(path: Path, command: tuple[str, ...]) -> None:
    done = run(command[0], "--file", str(path), *command[1:])
    assert done.exit_code == 1
    assert done.stderr == f"Error: {path} cannot be read (No such file or directory)\n"


def test_files_that_cannot_be_used(path: Path) -> None:
    path.write_text("password")
    for done in (
        new(path),
        run("list", "--file", str(path)),
        run("revoke", "--file", str(path), "x"),
    ):
        assert done.exit_code == 1
        assert done.stderr == f"Error: {path} is not a file of `orders keys`\n"
    assert path.read_text() == "password"
    done = new(path.parent / "nowhere" / "keys.json")
    assert done.exit_code == 1
    assert done.stderr.endswith("cannot be written (No such file or directory)\n")


def test_edits_at_the_same_time_lose_nothing(path: Path) -> None:
    def add() -> None:
        for _ in range(5):
            stored, _ = key_file.new_key("n", ["orders:read"], datetime.now(UTC), None)
            key_file.edit(path, lambda keys: (*keys, stored), create=True)  # noqa: B023

    threads = [threading.Thread(target=add) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(key_file.read(path)) == 30
