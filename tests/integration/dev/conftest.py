"""Data folders in the places that have caused trouble."""

from pathlib import Path

import pytest


@pytest.fixture
def awkward_folder(tmp_path: Path) -> Path:
    """A folder with a space, a comma and a dead letter beyond ASCII, below one that is private."""
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    folder = private / "my data, Ж"
    folder.mkdir()
    return folder
