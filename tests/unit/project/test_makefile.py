"""What `make` says where it cannot install."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
NO_INDEX = {
    "PIP_INDEX_URL": "http://127.0.0.1:1/simple",
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_FIND_LINKS": "",
    "PIP_RETRIES": "0",
    "PIP_NO_CACHE_DIR": "1",
}


def install(folder: Path, python: str) -> str:
    """Install into a new environment, which fails; returns what is printed."""
    venv = folder / "venv"
    ended = subprocess.run(
        ["make", f"PYTHON={python}", f"VENV={venv}", f"{venv}/.run-ready"],
        cwd=ROOT,
        env=os.environ | NO_INDEX,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    return ended.stdout + ended.stderr


def test_an_interpreter_that_is_not_there_is_not_called_too_old(tmp_path: Path) -> None:
    said = install(tmp_path, "python3.99")
    assert "There is no python3.99 here" in said
    assert "or newer" not in said


def test_an_interpreter_that_is_too_old(tmp_path: Path) -> None:
    old = tmp_path / "python"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    assert "Python 3.11 or newer is needed" in install(tmp_path, str(old))


@pytest.mark.timeout(120)
def test_without_a_network_it_says_what_to_do(tmp_path: Path) -> None:
    said = install(tmp_path, sys.executable)
    assert "The packages could not be installed" in said
    assert "PIP_INDEX_URL" in said
