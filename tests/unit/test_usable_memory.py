"""The memory that a process may use, by the files of the kernel; and the local cache's share."""

import os
import resource
from pathlib import Path

import msgspec
import pytest

from orders import config
from orders.config import Settings
from orders.usable_memory import usable_memory

MIB = 2**20
PHYSICAL = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
V1_UNLIMITED = "9223372036854771712"
"""What version 1 has for no limit: the largest number of whole pages."""


@pytest.fixture(autouse=True)
def _no_limit_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    limit_process(monkeypatch)


def limit_process(monkeypatch: pytest.MonkeyPatch, **limits: int) -> None:
    by_number = {getattr(resource, name): value for name, value in limits.items()}
    unlimited = resource.RLIM_INFINITY

    def getrlimit(number: int) -> tuple[int, int]:
        return by_number.get(number, unlimited), unlimited

    monkeypatch.setattr(resource, "getrlimit", getrlimit)


def machine(root: Path, cgroup: str, files: dict[str, str]) -> Path:
    """A machine whose kernel has these files below /sys/fs/cgroup."""
    for name, text in files.items():
        file = root / "sys/fs/cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(cgroup)
    return root


V1 = "5:devices:/d\n4:cpu,memory:/docker/1f\n1:name=systemd:/\n"


@pytest.mark.parametrize(
    ("cgroup", "files", "mib"),
    [
        pytest.param("0::/\n", {"memory.max": str(512 * MIB)}, 512, id="a container"),
        pytest.param(
            "0::/system.slice/orders-api.service\n",
            {"system.slice/orders-api.service/memory.max": str(512 * MIB)},
            512,
            id="a unit of systemd",
        ),
        pytest.param(
            "0::/pods/one/c\n",
            {
                "pods/one/c/memory.max": "max",
                "pods/one/memory.max": str(300 * MIB),
                "pods/memory.max": str(400 * MIB),
            },
            300,
            id="a limit above it",
        ),
        pytest.param(
            "0::/s\n",
            {"s/memory.max": str(512 * MIB), "s/memory.high": str(256 * MIB)},
            256,
            id="slowed down from here on",
        ),
        pytest.param(
            V1, {"memory/docker/1f/memory.limit_in_bytes": str(200 * MIB)}, 200, id="version 1"
        ),
        pytest.param(
            V1,
            {"memory/memory.limit_in_bytes": str(200 * MIB)},
            200,
            id="version 1, in a container that sees its path on the host",
        ),
        pytest.param(
            "4:memory:/a\n0::/\n",
            {
                "memory/a/memory.limit_in_bytes": V1_UNLIMITED,
                "memory/memory.limit_in_bytes": V1_UNLIMITED,
            },
            None,
            id="both versions, no limit",
        ),
        pytest.param("0::/a\n", {"a/memory.max": "max"}, None, id="no limit"),
        pytest.param("0::/../outside\n", {}, None, id="outside of what is mounted"),
    ],
)
def test_the_least_limit_of_the_cgroup_and_those_above(
    tmp_path: Path, cgroup: str, files: dict[str, str], mib: int | None
) -> None:
    found = usable_memory(machine(tmp_path, cgroup, files))
    assert found == (PHYSICAL if mib is None else mib * MIB)


def test_without_such_files_it_is_the_memory_of_the_machine(tmp_path: Path) -> None:
    assert usable_memory(tmp_path) == PHYSICAL


def test_of_this_process_it_is_at_most_the_memory_of_the_machine() -> None:
    assert 0 < usable_memory() <= PHYSICAL


@pytest.mark.parametrize("name", ["RLIMIT_AS", "RLIMIT_DATA"])
def test_limits_of_the_process_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    limit_process(monkeypatch, **{name: 100 * MIB})
    root = machine(tmp_path, "0::/\n", {"memory.max": str(512 * MIB)})
    assert usable_memory(root) == 100 * MIB


@pytest.mark.parametrize(
    ("memory", "workers", "each"),
    [
        (16_384, 1, 2_048),
        (16_384, 4, 512),
        (1_024, 1, 128),
        (512, 1, 64),
        (256, 1, 64),
        (1_024, 8, 64),
    ],
)
def test_workers_share_a_part_of_the_memory(
    monkeypatch: pytest.MonkeyPatch, memory: int, workers: int, each: int
) -> None:
    monkeypatch.setattr(config, "usable_memory", lambda: memory * MIB)
    settings = Settings(http_workers=workers)
    assert settings.local_cache_bytes == each * MIB
    for given in (0, 1, 5_000_000_000):
        explicit = msgspec.structs.replace(settings, cache_local_bytes=given)
        assert explicit.local_cache_bytes == given
