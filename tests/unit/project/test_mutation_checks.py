"""A mutation is noticed only if a test reports a failure, not if pytest itself crashes."""

from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from mutation_checks import __main__ as program
from mutation_checks.catalog import MUTATION_CHECKS


@pytest.mark.parametrize(
    ("output", "noticed"),
    [("FAILED tests/test_x.py::test_x - assert 1\n1 failed in 1s\n", True), ("", False)],
)
def test_what_counts_as_noticed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, output: str, noticed: bool
) -> None:
    # Python ends with 1 if pytest crashes, as pytest does for failed tests.
    runs: Iterator[CompletedProcess[str]] = iter(
        (CompletedProcess([], 0, "1 passed in 1s\n"), CompletedProcess([], 1, output))
    )
    monkeypatch.setattr(program, "_run", lambda *_: next(runs))
    failed, _ = program._try(MUTATION_CHECKS[0], tmp_path / "copy", {})
    assert failed is not noticed
