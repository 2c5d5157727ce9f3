"""The units for systemd fit the code."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from orders.config import load, variables
from orders.entrypoints.cli.main import main
from orders.entrypoints.http.server import GRACE_SECONDS
from tests.commands import ROOT

UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
SECRETS = {
    "ORDERS_POSTGRES_DSN": "dbname=orders",
    "ORDERS_REDIS_URL": "redis://cache",
    "ORDERS_HTTP_SESSION_SECRET": "s" * 64,
}
KEYS = "ORDERS_HTTP_KEYS_FILE"


def lines(unit: Path, name: str) -> list[str]:
    """The values of an option."""
    return re.findall(rf"(?m)^{name}=(.*)$", unit.read_text())


def settings(unit: Path) -> dict[str, str]:
    given = (word for line in lines(unit, "Environment") for word in line.split())
    return dict(word.split("=", 1) for word in given)


def test_there_is_one_for_each_process() -> None:
    assert [unit.stem for unit in UNITS] == ["orders-api", "orders-consumer", "orders-migrate"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_they_run_our_commands_with_our_settings(unit: Path) -> None:
    (started,) = lines(unit, "ExecStart")
    _program, command = started.split()
    assert command == unit.stem.removeprefix("orders-")
    assert command in main.list_commands(None)  # type: ignore[arg-type]
    given = settings(unit)
    if KEYS in given:  # read again when it changes, which credentials are not
        assert given[KEYS] == "/etc/orders/keys.json"
        del given[KEYS], given["ORDERS_HTTP_AUTH"]
    known = {variable.name: variable for variable in variables()}
    assert {name.removesuffix("_FILE") for name in given} <= known.keys()
    files = {name: value for name, value in given.items() if name.endswith("_FILE")}
    credentials = [line.split(":") for line in lines(unit, "LoadCredential")]
    assert set(files.values()) == {f"%d/{name}" for name, _ in credentials}
    assert {path for _, path in credentials} == {
        f"/etc/orders/{command}/{name}" for name, _ in credentials
    }
    secrets = {name.removesuffix("_FILE"): SECRETS[name.removesuffix("_FILE")] for name in files}
    assert not any(known[name].secret for name in given if name not in files)
    load({n: v for n, v in given.items() if n not in files} | secrets, dotenv=None)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_they_stop_and_start_again_as_the_product_does(unit: Path) -> None:
    assert GRACE_SECONDS < 10 < int(lines(unit, "TimeoutStopSec")[0])
    if lines(unit, "Type") == ["oneshot"]:
        return
    assert lines(unit, "KillMode") == ["mixed"]
    assert lines(unit, "Restart") == ["on-failure"]
    assert lines(unit, "RestartPreventExitStatus") == ["2"]
    assert lines(unit, "StartLimitIntervalSec") == ["0"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_takes_them(unit: Path, tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed")
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text().replace("/opt/orders/bin/orders", shutil.which("true") or ""))
    verified = subprocess.run(
        [program, "verify", "--man=no", copy], capture_output=True, text=True, check=False
    )
    assert (verified.returncode, verified.stderr) == (0, "")
    rated = subprocess.run(
        [program, "security", "--offline=true", "--threshold=20", copy],
        capture_output=True,
        text=True,
        check=False,
    )
    assert rated.returncode == 0, rated.stdout[-2000:]
