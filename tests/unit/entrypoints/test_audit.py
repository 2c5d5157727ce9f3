"""The file of the audit log."""

import json
import os
import resource
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from orders.config import Settings
from orders.entrypoints import audit as audits
from orders.entrypoints.audit import AuditFile, open_audit, operator


def lines(path: Path) -> list[str]:
    return [json.loads(line)["event"] for line in path.read_text().splitlines()]


def test_without_a_setting_there_is_none() -> None:
    assert open_audit(Settings(), "api") is None


def test_lines_are_appended_to_the_file(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    path.write_text('{"event":"before"}\n')
    for process in ("api", "forget"):
        opened = open_audit(Settings(audit_log=str(path)), process)
        assert opened
        opened.record("read", ["uid"], operator())
    assert lines(path) == ["before", "read", "read"]
    last = json.loads(path.read_text().splitlines()[-1])
    assert last["who"].startswith("os:")
    assert last["from"] == os.uname().nodename
    assert last["process"] == "forget"


@pytest.mark.parametrize("key", [None, "a key of the operators"])
def test_the_subject_of_a_token_is_in_it_as_a_hash_or_not_at_all(
    tmp_path: Path, key: str | None
) -> None:
    path = tmp_path / "audit.log"
    opened = open_audit(Settings(audit_log=str(path), audit_key=key), "api")
    assert opened
    for subject in ("ann@example.com", "bob@example.com", "ann@example.com"):
        opened.record("read", ["uid"], {"subject": subject, "from": "192.0.2.1"})
    assert "example.com" not in path.read_text()
    whos = [json.loads(line).get("who") for line in path.read_text().splitlines()]
    assert whos[0] == whos[2]
    assert (whos[0] == whos[1]) is (key is None)
    assert all(who is None or who.startswith("token:") for who in whos)


def test_a_rotated_file_is_opened_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audits, "_CHECK_SECONDS", 0.0)
    path = tmp_path / "audit.log"
    write = AuditFile(path)
    write(b'{"event":"old"}\n')
    path.rename(tmp_path / "audit.log.1")
    write(b'{"event":"new"}\n')
    assert lines(path) == ["new"]
    assert lines(tmp_path / "audit.log.1") == ["old"]


def test_a_file_that_cannot_be_written_is_reported_once(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    write = AuditFile(folder / "audit.log")
    with capture_logs() as logs:
        write(b"{}\n")
        write(b"{}\n")
    assert [line["event"] for line in logs] == ["audit cannot be written"]
    folder.mkdir()
    write(b'{"event":"again"}\n')
    assert lines(folder / "audit.log") == ["again"]


def test_a_line_that_a_full_disk_has_cut_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    write = AuditFile(path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    write(b'{"event":"first"}\n')
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 5, before[1]))
    try:
        with capture_logs() as logs:
            write(b'{"event":"cut"}\n')
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [line["event"] for line in logs] == ["audit cannot be written"]
    write(b'{"event":"next"}\n')
    write(b'{"event":"last"}\n')
    assert path.read_bytes().splitlines() == [
        b'{"event":"first"}',
        b'{"eve',
        b'{"event":"next"}',
        b'{"event":"last"}',
    ]


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_stream(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    opened = open_audit(Settings(audit_log=name), "api")
    assert opened
    opened.record("read", ["uid \N{SNOWMAN}"], {"from": "here"})
    line = getattr(capfd.readouterr(), name[3:])
    assert json.loads(line)["orders"] == ["uid \N{SNOWMAN}"]


@pytest.mark.parametrize("kind", ["full", "closed"])
def test_a_stream_that_cannot_be_written_is_reported_once(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = open_audit(Settings(audit_log="stdout"), "api")
    assert opened
    with open("/dev/full", "w") as full, capture_logs() as logs:  # noqa: PTH123 (a device)
        monkeypatch.setattr("sys.stdout", full if kind == "full" else None)
        for _ in range(2):
            opened.record("read", ["uid"], {"from": "here"})
    assert [line["event"] for line in logs] == ["audit cannot be written"]


def test_a_deletion_that_may_have_come_through_names_its_orders(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    opened = open_audit(Settings(audit_log=str(path)), "api")
    assert opened
    for event in ("forgot", "purged", "read"):
        opened.record(event, ["uid"], operator(), "unavailable")
    opened.record("forgot", ["any text"], operator(), "forbidden")
    named = [json.loads(line)["orders"] for line in path.read_text().splitlines()]
    assert named == [["uid"], ["uid"], [], []]
