"""Identifies processes, even if their process ids are reused."""

import subprocess
import sys
from pathlib import Path

_PROC = Path("/proc")


def identity(pid: int) -> str | None:
    """Return a text that identifies the process `pid` uniquely, past and future ones included.

    Returns:
        A text to compare with an earlier one, or None if no such process runs (a zombie does
        not run).
    """
    if sys.platform == "linux":
        return _identity_from_proc(pid)
    listing = subprocess.run(  # noqa: S603
        ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
    )
    state, _, started = listing.stdout.strip().partition(" ")
    return f"{pid} {started.strip()}" if started and not state.startswith("Z") else None


def _identity_from_proc(pid: int) -> str | None:
    try:
        # The command's name may contain spaces and brackets: the fields start after the last ")".
        fields = (
            (_PROC / str(pid) / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        )
        boot = (_PROC / "sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return None
    state, started_ticks = fields[0], fields[19]
    return None if state in "ZX" else f"{boot} {pid} {started_ticks}"


def working_folder(pid: int) -> Path | None:
    """The working folder of the process `pid`, or None if it is unknown."""
    if sys.platform == "linux":
        try:
            return (_PROC / str(pid) / "cwd").readlink()
        except OSError:
            return None
    listing = subprocess.run(  # noqa: S603
        ["/usr/sbin/lsof", "-a", "-d", "cwd", "-Fn", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
    )
    folders = [line[1:] for line in listing.stdout.splitlines() if line.startswith("n")]
    return Path(folders[0]) if folders else None
