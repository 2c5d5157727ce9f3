"""Tries the built wheel: tests in a fresh environment that has no other copy of the product."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from releases.plan import build

PYTHONS = ("3.11", "3.12", "3.13")
TESTS = (
    "tests/unit",
    "tests/integration/system/test_whole_system.py",
    "tests/integration/system/test_round_trip.py",
    "tests/integration/system/test_stopping.py",
)
_NOT_THERE = ("tests/unit/project",)
"""Those are about the files of the project, which the copy lacks."""
_LEFT_OUT = ("src", ".*", "__pycache__", "build", "dist", "test-artifacts")
_WHERE = "import orders, orders_dev; print(orders.__file__, orders_dev.__file__)"


def find_python(version: str) -> str | None:
    """An interpreter of this version that is on this machine; nothing is downloaded."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [f"python{version}", *map(str, pyenv.glob(f"{version}.*/bin/python"))]
    for candidate in candidates:
        program = shutil.which(candidate)
        # A shim may be there without the interpreter.
        if (
            program
            and not subprocess.run(
                [program, "--version"], capture_output=True, check=False
            ).returncode
        ):
            return program
    return None


def check(root: Path, python: str, folder: Path, tests: Sequence[str] = TESTS) -> None:
    """Install the wheel beside the locked packages, and run the tests on it.

    Raises:
        CalledProcessError: something of it failed.
    """
    shutil.rmtree(folder, ignore_errors=True)
    wheel, _sdist = build(root, folder / "dist")
    copy = folder / "copy"
    shutil.copytree(root, copy, ignore=shutil.ignore_patterns(*_LEFT_OUT), symlinks=True)
    run = _Runner(copy)
    run(python, "-m", "venv", str(folder / "venv"))
    inside = str(folder / "venv" / "bin" / "python")
    lock = root / "requirements" / "dev.lock"
    run(inside, "-m", "pip", "install", "--quiet", "--require-hashes", "--requirement", str(lock))
    run(inside, "-m", "pip", "install", "--quiet", "--no-deps", str(wheel))
    run(inside, "-m", "pip", "check")
    where = run(inside, "-c", _WHERE)
    assert where.count("site-packages") == len(where.split()), where
    ignored = [f"--ignore={path}" for path in _NOT_THERE]
    run(
        *(inside, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2", "--dist", "loadfile"),
        *("-m", "not thorough", *ignored, *tests),
        shown=True,
    )


class _Runner:
    """Runs commands in a folder, without what the environment says about Python."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}

    def __call__(self, *words: str, shown: bool = False) -> str:
        ended = subprocess.run(
            words,
            cwd=self._folder,
            env=self._environment,
            check=True,
            stdout=None if shown else subprocess.PIPE,
            text=True,
        )
        return ended.stdout or ""
