"""Ends processes that an earlier run has left."""

import json
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orders_dev.identity import identity

KILL_SECONDS = 10.0
"""How long a process may take to end after SIGKILL."""
_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class StopStep:
    """A signal that asks a process to end, and the seconds to wait for that."""

    signal: signal.Signals
    seconds: float


def remember(record: Path, pid: int) -> None:
    """Record the running process `pid` for `reclaim` in a later run."""
    name = identity(pid)
    if name is not None:
        record.write_text(json.dumps({"pid": pid, "identity": name}), "utf-8")


def reclaim(record: Path, steps: Sequence[StopStep]) -> None:
    """End the process of an earlier run, if it still runs.

    Its process id may belong to another process by now, so it is signalled only if its recorded
    identity matches.

    Args:
        record: the file that `remember` wrote.
        steps: signals to send, in turn, before SIGKILL.
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
            # Each child leads a process group, which contains its helpers.
            (os.killpg if step.signal == signal.SIGKILL else os.kill)(pid, step.signal)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + step.seconds
        while identity(pid) == name and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
