"""Performs one drill, audit included."""

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from drills.audit import Tally
from drills.drill import Drill
from drills.servers import Servers
from drills.stage import Stage

PARTITIONS = 4


@dataclass
class Result:
    """The result of a drill. ``failure`` is None if none of its assertions failed."""

    drill: Drill
    seconds: float = 0.0
    tally: Tally = field(default_factory=Tally)
    failure: str | None = None

    @property
    def is_good(self) -> bool:
        """Whether the invariant holds and nothing else went wrong."""
        return self.failure is None and self.tally.is_kept


def perform(
    drill: Drill,
    servers: Servers,
    folder: Path,
    seed: int,
    *,
    long: bool,
    say: Callable[[str], None],
) -> Result:
    """Run a drill, wait until all is processed, and audit; failures are in the result."""
    result = Result(drill)
    started = time.monotonic()
    stage = Stage(
        servers,
        folder / drill.name,
        Random(f"{seed} {drill.name}"),
        long=long,
        partitions=PARTITIONS,
        say=say,
    )
    try:
        try:
            drill.run(stage)
            stage.settle()
        except Exception as error:  # noqa: BLE001 (reported with the tally)
            result.failure = _description(error)
            stage.servers.heal()
            stage.consumers.close()
        try:
            result.tally = stage.audit()
        except Exception as error:
            if result.failure is None:
                raise
            result.failure += f"\nand could not be counted: {_description(error)}"
        if result.tally.held and result.failure is None:
            result.failure = f"{result.tally.held} documents are still uncommitted"
        if result.failure is None and (moves := stage.moved_back()):
            result.failure = "; ".join(moves)
    finally:
        stage.close()
    result.seconds = time.monotonic() - started
    return result


def _description(error: Exception) -> str:
    place = traceback.extract_tb(error.__traceback__)
    lines = [f"{frame.filename}:{frame.lineno}" for frame in place][-3:]
    return f"{type(error).__name__}: {error}\n  at {' < '.join(reversed(lines))}"
