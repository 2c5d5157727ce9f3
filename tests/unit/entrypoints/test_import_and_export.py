"""Wrong usage of `orders import`, `export` and `compare`, and what they print."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from orders.domain.errors import Unavailable
from orders.domain.ports import OrderNumbers
from orders.domain.use_cases.compare_orders import Compared
from orders.domain.use_cases.import_orders import ImportReport, RefusedOrder
from orders.entrypoints.cli.compare import _print
from orders.entrypoints.cli.import_orders import _refused_output, _summary
from orders.entrypoints.cli.main import main


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["import", "none.ndjson"], "does not exist"),
        (["import", "."], "is a directory"),
        (["export", "--format", "csv"], "csv needs a folder"),
        (["export", "--format", "csv", "--output", "x", "--compress", "gzip"], "no --compress"),
        (["export", "--format", "csv", "--output", "."], "is not an empty folder"),
        (["export", "--output", "."], "is not a file"),
        (["export", "--output", "/dev/null"], "is not a file"),
        (["export", "--output", "none/orders"], "there is no folder"),
        (["export", "--created-from", "soon"], "not a time"),
        (["export"], "ORDERS_POSTGRES_DSN: is required"),
        (["import"], "ORDERS_KAFKA_BOOTSTRAP: is required"),
        (["import", "--direct"], "ORDERS_POSTGRES_DSN: is required"),
        (["import", "--legacy", "dbname=old", "file"], "--legacy takes no files"),
        (["compare"], "ORDERS_POSTGRES_DSN: is required"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    for name in ("ORDERS_POSTGRES_DSN", "ORDERS_KAFKA_BOOTSTRAP"):
        monkeypatch.delenv(name, raising=False)
    done = CliRunner().invoke(main, arguments)
    assert (done.exit_code, said in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize("refused", ["input", "symbolic", "hard"])
@pytest.mark.parametrize("from_stdin", [False, True])
def test_what_is_refused_does_not_overwrite_what_is_imported(
    refused: str, from_stdin: bool, tmp_path: Path
) -> None:
    file = tmp_path / "input"
    file.write_text("{}")
    (tmp_path / "symbolic").symlink_to(file)
    (tmp_path / "hard").hardlink_to(file)
    command = [sys.executable, "-m", "orders", "import", "--direct", "--refused", refused]
    command += [] if from_stdin else ["/dev/null", "input"]
    environment = os.environ | {"ORDERS_POSTGRES_DSN": "host=127.0.0.1 port=1"}
    with file.open() as stdin:
        done = subprocess.run(
            command, stdin=stdin, cwd=tmp_path, env=environment, capture_output=True, check=False
        )
    assert (done.returncode, file.read_text()) == (2, "{}")
    assert f"{refused} is an input, and would be overwritten".encode() in done.stderr


def test_the_summary_names_what_there_is() -> None:
    assert _summary(ImportReport()) == "no orders"
    refused = {"conflict": 2, "invalid": 1, "undecodable": 3}
    report = ImportReport(stored=1_000, unchanged=5, forgotten=1, refused=refused)
    said = "1,000 stored, 5 unchanged, 1 forgotten before, 2 in conflict, 4 refused"
    assert _summary(report) == said


@pytest.mark.parametrize(
    ("here", "invalid", "said"),
    [
        (6, 0, "1 missing here by the numbers"),
        (8, 0, "1 too many here"),
        (6, 1, "1 in the old database against the rules"),
    ],
)
def test_numbers_that_differ_are_said_beside_a_sample_that_does_not(
    here: int, invalid: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = OrderNumbers({"2026-01-01": 7}, incomplete=2), OrderNumbers({"2026-01-01": here})
    _print(Compared(old, new, equal=5, invalid=invalid), "a sample")
    printed = capsys.readouterr().out.splitlines()
    assert printed[:4] == [
        f"orders: 7 in the old database, {here} here",
        f"  2026-01-01: 7 in the old database, {here} here",
        "  2 more in the old database without delivery or payment: cannot be imported",
        "a sample: 5 equal",
    ]
    (line,) = printed[4:]
    assert said in line


def test_refused_orders_are_written_whole_and_printed_in_part(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "refused"
    path.touch(0o644)
    refused = [RefusedOrder(f"a\nb: line {n}", "invalid", "$: bad", b"{}") for n in range(5_000)]
    with _refused_output(path) as on_refused:
        on_refused(refused[:1])
        on_refused(refused[1:])
    assert path.stat().st_mode & 0o777 == 0o600
    lines = list(map(json.loads, path.read_text().splitlines()))
    assert [line["position"] for line in lines] == [one.position for one in refused]
    assert lines[0] | {"position": ""} == {
        "position": "",
        "code": "invalid",
        "reason": "$: bad",
        "original": "{}",
    }
    printed = capsys.readouterr().err.splitlines()
    assert printed[0] == "a\\u000ab: line 0: invalid: $: bad"
    assert (len(printed), printed[-1]) == (11, "and 4,990 more refused orders")


def test_a_full_disk_is_an_error_of_ours_and_a_device_keeps_its_mode() -> None:
    mode = Path("/dev/full").stat().st_mode
    one = RefusedOrder("line 1", "invalid", "$: bad", b"{}")
    with _refused_output(Path("/dev/full")) as on_refused, pytest.raises(Unavailable):
        on_refused([one])
    assert Path("/dev/full").stat().st_mode == mode


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["import", "--direct", "--legacy"], "--legacy needs a DSN, or ORDERS_LEGACY_DSN"),
        (["compare"], "--legacy needs a DSN, or ORDERS_LEGACY_DSN"),
        (["compare", "--legacy", "nonsense secret"], "--legacy: "),
    ],
)
def test_the_old_database_must_be_named(
    arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORDERS_POSTGRES_DSN", "dbname=new")
    monkeypatch.delenv("ORDERS_LEGACY_DSN", raising=False)
    done = CliRunner().invoke(main, arguments)
    assert (done.exit_code, said in done.stderr) == (2, True), done.stderr
    assert "secret" not in done.stderr
