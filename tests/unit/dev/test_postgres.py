"""What the embedded PostgreSQL gets of the machine."""

import os

import pytest

from orders_dev.postgres import shared_buffers


@pytest.mark.parametrize(
    ("gigabytes", "megabytes"), [(0.5, 128), (1, 128), (2, 256), (7, 896), (8, 1024), (512, 1024)]
)
def test_an_eighth_of_the_memory_within_bounds(
    monkeypatch: pytest.MonkeyPatch, gigabytes: float, megabytes: int
) -> None:
    sizes = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": int(gigabytes * 2**30) // 4096}
    monkeypatch.setattr(os, "sysconf", sizes.__getitem__)
    assert shared_buffers() == megabytes
