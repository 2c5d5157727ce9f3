"""Ends processes, also those that an earlier run left behind."""

import json
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orders_dev.identity import identity

KILL_SECONDS = 10.0
"""How long the end of a process may take after SIGKILL."""
_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class StopStep:
    """One attempt to end a process: a signal, and how many seconds it is given to work."""

    signal: signal.Signals
    seconds: float


def remember(record: Path, pid: int) -> None:
    """Write down the running process `pid` for `reclaim` in a later run."""
    name = identity(pid)
    if name is not None:
        record.write_text(json.dumps({"pid": pid, "identity": name}), "utf-8")


def reclaim(record: Path, steps: Sequence[StopStep]) -> None:
    """End what an earlier run left behind, if that very process still runs.

    A process id alone proves nothing, it may have been given to a stranger since: only a process
    whose recorded identity still fits is touched.

    Args:
        record: the file that `remember` wrote.
        steps: how to end it, tried in turn before SIGKILL.
    """
    try:
        remembered = json.loads(record.read_text("utf-8"))
        pid, name = int(remembered["pid"]), str(remembered["identity"])
    except (OSError, ValueError, KeyError, TypeError):
        return
    end_orphan(pid, name, steps)
    record.unlink(missing_ok=True)


def end_orphan(pid: int, name: str, steps: Sequence[StopStep]) -> None:
    """End process `pid`, which is not our child, as long as its identity is `name`."""
    for step in (*steps, StopStep(signal.SIGKILL, KILL_SECONDS)):
        if identity(pid) != name:
            return
        try:
            # Each of our children leads a group; helpers that it can no longer stop are in it.
            (os.killpg if step.signal == signal.SIGKILL else os.kill)(pid, step.signal)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + step.seconds
        while identity(pid) == name and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
