from pathlib import Path

import pytest


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a file of keys may be."""
    return tmp_path / "keys.json"
