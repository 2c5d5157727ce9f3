"""How much memory this process may use."""

import os
import resource
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

_CGROUPS = Path("sys/fs/cgroup")
_FILES = {
    "": (_CGROUPS, ("memory.max", "memory.high")),  # version 2 names no controllers
    "memory": (_CGROUPS / "memory", ("memory.limit_in_bytes",)),
}


def usable_memory(root: Path = Path("/")) -> int:
    """Return the bytes that this process may use: the least of all limits and the physical memory.

    The limits are those of its cgroup, such as a container's, and of all above it, and its own
    (``ulimit -v`` and ``-d``). ``root`` is the folder with ``proc`` and ``sys``.
    """
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min((physical, *_limits_of_process(), *_limits_of_cgroups(root)))


def _limits_of_process() -> Iterator[int]:
    for name in (resource.RLIMIT_AS, resource.RLIMIT_DATA):
        soft, _ = resource.getrlimit(name)
        if soft != resource.RLIM_INFINITY:
            yield soft


def _limits_of_cgroups(root: Path) -> Iterator[int]:
    lines = ""
    with suppress(OSError):  # not Linux
        lines = (root / "proc/self/cgroup").read_text()
    for line in lines.splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            if controller in _FILES:
                mount, names = _FILES[controller]
                yield from _limits_up_from(root / mount, path, names)


def _limits_up_from(mount: Path, path: str, names: tuple[str, ...]) -> Iterator[int]:
    """The limits of a cgroup and of those above it.

    In a container ``path`` may be that on the host, while what is mounted begins at the container's
    own cgroup: then only the topmost files are there.
    """
    cgroup = PurePosixPath(path.lstrip("/"))
    for each in (cgroup, *cgroup.parents):
        for name in names:
            with suppress(OSError, ValueError):  # it has no such file, or "max": no limit
                yield int((mount / each / name).read_text())
