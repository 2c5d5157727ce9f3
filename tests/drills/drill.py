"""What a drill is."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.drills.stage import Stage


@dataclass(frozen=True)
class Drill:
    """One kind of harm. ``servers`` says how many brokers it needs; ``held`` that records which
    nobody can read may stay uncommitted.
    """

    group: int
    name: str
    title: str
    run: Callable[[Stage], None]
    brokers: int = 1
    held: bool = False


def drill(
    group: int, title: str, *, brokers: int = 1, held: bool = False
) -> Callable[[Callable[[Stage], None]], Drill]:
    """Make a drill of a function; its name becomes the drill's."""

    def made(function: Callable[[Stage], None]) -> Drill:
        name = function.__name__.replace("_", "-")
        return Drill(group, name, title, function, brokers, held)

    return made
