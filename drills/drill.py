"""What a drill is."""

from collections.abc import Callable
from dataclasses import dataclass

from drills.stage import Stage


@dataclass(frozen=True)
class Drill:
    """One kind of harm, and how many ``brokers`` it needs."""

    group: int
    name: str
    title: str
    run: Callable[[Stage], None]
    brokers: int = 1


def drill(
    group: int, title: str, *, brokers: int = 1
) -> Callable[[Callable[[Stage], None]], Drill]:
    """Make a drill of a function; its name becomes the drill's."""

    def made(function: Callable[[Stage], None]) -> Drill:
        name = function.__name__.replace("_", "-")
        return Drill(group, name, title, function, brokers)

    return made
