"""Which servers the tests run on: given ones, else containers, else the embedded ones.

`ORDERS_TEST_SERVERS=embedded` leaves the containers out.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

VARIABLES = {
    "postgres": "ORDERS_TEST_POSTGRES_DSN",
    "redis": "ORDERS_TEST_REDIS_URL",
    "kafka": "ORDERS_TEST_KAFKA_BOOTSTRAP",
    "citus": "ORDERS_TEST_CITUS_DSN",
}
NOT_EMBEDDED = {"citus"}
"""Servers for which there are no binaries in a package: their tests are skipped."""


FORCED = "ORDERS_TEST_SERVERS"
"""Set to ``embedded``, no engine is asked: one may answer that cannot run containers."""


class Source(Enum):
    """Where a server comes from."""

    GIVEN = "given"
    DOCKER = "docker"
    EMBEDDED = "embedded"
    MISSING = "missing, its tests are skipped"


@dataclass(frozen=True)
class Choice:
    """One server's source; `address` only where it was given, and never shown: it may be secret."""

    source: Source
    reason: str
    address: str | None = None

    def __str__(self) -> str:
        return f"{self.source.value} ({self.reason})"


@dataclass(frozen=True)
class Engine:
    """What asking for a Docker engine brought."""

    answers: bool
    detail: str


def choose(environment: Mapping[str, str], ask_engine: Callable[[], Engine]) -> dict[str, Choice]:
    """Choose for each server on its own; the engine is asked once, and only if it matters."""
    choices = {
        server: Choice(Source.GIVEN, variable, environment[variable].strip())
        for server, variable in VARIABLES.items()
        if environment.get(variable, "").strip()
    }
    missing = [server for server in VARIABLES if server not in choices]
    forced = environment.get(FORCED, "").strip()
    if forced not in {"", Source.EMBEDDED.value}:
        raise ValueError(f"{FORCED} must be {Source.EMBEDDED.value}, or not set")
    if missing:
        engine = Engine(answers=False, detail=FORCED) if forced else ask_engine()
        for server in missing:
            here = Source.MISSING if server in NOT_EMBEDDED else Source.EMBEDDED
            choices[server] = Choice(Source.DOCKER if engine.answers else here, engine.detail)
    return {server: choices[server] for server in VARIABLES}


def header(choices: Mapping[str, Choice]) -> list[str]:
    """What pytest says about them at the start."""
    return [f"{server}: {choice}" for server, choice in choices.items()]
