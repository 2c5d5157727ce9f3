"""The data folder of `orders dev`: one holder, nobody else's files."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from orders_dev.data_folder import DataFolder
from orders_dev.errors import UsageError

HOLD = """
import sys
from pathlib import Path
from orders_dev.data_folder import DataFolder
folder = DataFolder(Path(sys.argv[1]))
folder.acquire()
print("held", flush=True)
sys.stdin.read()
"""


def test_a_new_folder_is_made_private_and_ignored_by_git(tmp_path: Path) -> None:
    data = DataFolder(tmp_path / "a" / "b c")
    data.acquire()
    assert data.path.stat().st_mode & 0o777 == 0o700
    assert (data.path / ".gitignore").read_text("utf-8") == "*\n"
    data.release()


def test_a_second_process_is_rejected_until_the_first_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "data"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(UsageError, match=f"process {holder.pid}"):
            DataFolder(path).acquire()
        holder.kill()
    again = DataFolder(path)
    again.acquire()
    again.release()


def test_ports_are_remembered(tmp_path: Path) -> None:
    data = DataFolder(tmp_path / "data")
    data.acquire()
    assert data.remembered_ports() == {}
    data.remember_ports({"kafka": 9092})
    data.release()
    assert DataFolder(tmp_path / "data").remembered_ports() == {"kafka": 9092}


@pytest.mark.parametrize("text", ["", "[]", '{"ports": []}', '{"ports": {"kafka": "x"}}', "{"])
def test_a_broken_memory_is_no_memory(tmp_path: Path, text: str) -> None:
    data = DataFolder(tmp_path / "data")
    data.acquire()
    (data.path / "orders-dev.json").write_text(text, "utf-8")
    assert data.remembered_ports() == {}
    data.release()


def test_a_folder_with_other_files_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work", "utf-8")
    with pytest.raises(UsageError, match="contains other files"):
        DataFolder(tmp_path).acquire()
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    with pytest.raises(UsageError, match="is not a folder"):
        DataFolder(tmp_path / "data").acquire()


def test_a_long_log_is_put_aside(tmp_path: Path) -> None:
    data = DataFolder(tmp_path / "data")
    data.acquire()
    data.release()
    (data.logs / "api.log").write_bytes(b"x" * 10_000_001)
    (data.logs / "kafka.log").write_bytes(b"short")
    data.acquire()
    assert sorted(log.name for log in data.logs.iterdir()) == ["api.log.old", "kafka.log"]
    data.release()


@pytest.mark.parametrize("call", ["mkdir", "open", "write_text", "iterdir"])
def test_a_folder_that_cannot_be_written_is_said(
    tmp_path: Path, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    data = DataFolder(tmp_path)
    monkeypatch.setattr(Path, call, refuse)
    with pytest.raises(UsageError, match="cannot be used for the data: Read-only") as failure:
        data.acquire()
    assert "--data" in failure.value.advice


def test_a_folder_below_a_file_is_said() -> None:
    with pytest.raises(UsageError, match="Not a directory"):
        DataFolder(Path("/dev/null/data")).acquire()


def test_a_folder_that_another_process_is_creating_is_not_a_foreign_one(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    (tmp_path / "orders-dev.new").touch()
    data = DataFolder(tmp_path)
    data.acquire()
    data.release()
