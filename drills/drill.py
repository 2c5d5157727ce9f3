"""What a drill is."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from drills.stage import Stage
from tests.integration import pgbouncer

CITUS = "ORDERS_TEST_CITUS_DSN"
"""A superuser on the coordinator of a Citus cluster, all of it on this machine."""

Need = Literal["", "citus", "pgbouncer"]


@dataclass(frozen=True)
class Drill:
    """One kind of harm, how many ``brokers`` it takes, and what a machine may lack for it."""

    group: int
    name: str
    title: str
    run: Callable[[Stage], None]
    brokers: int = 1
    needs: Need = ""

    @property
    def missing(self) -> str | None:
        """Why it cannot be run here; None if it can."""
        if self.needs == "citus" and CITUS not in os.environ:
            return f"no Citus cluster: set {CITUS}"
        if self.needs == "pgbouncer" and pgbouncer.find() is None:
            return pgbouncer.MISSING
        return None

    def on_citus(self) -> "Drill":
        """The same with a Citus cluster in place of PostgreSQL."""
        return replace(self, name=f"citus-{self.name}", title=f"Citus: {self.title}", needs="citus")


def drill(
    group: int, title: str, *, brokers: int = 1, needs: Need = ""
) -> Callable[[Callable[[Stage], None]], Drill]:
    """Make a drill of a function; its name becomes the drill's."""

    def made(function: Callable[[Stage], None]) -> Drill:
        name = function.__name__.replace("_", "-")
        return Drill(group, name, title, function, brokers, needs)

    return made
