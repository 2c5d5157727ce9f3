"""The servers of one test session, each started when a test first asks for it."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import Self

from . import docker_engine, embedded
from .choice import Choice, Source

_CONTAINERS: Mapping[str, Callable[[], AbstractContextManager[str]]] = {
    "postgres": docker_engine.postgres,
    "redis": docker_engine.redis,
    "kafka": docker_engine.kafka,
    "citus": docker_engine.citus,
}
_EMBEDDED: Mapping[str, Callable[[Path], AbstractContextManager[str]]] = {
    "postgres": embedded.postgres,
    "redis": embedded.redis,
    "kafka": embedded.kafka,
}


class Servers:
    """Starts what is asked for, once, and stops all of it in the end."""

    def __init__(self, choices: Mapping[str, Choice], folder: Path) -> None:
        self._choices = choices
        self._folder = folder
        self._running = ExitStack()
        self._addresses: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    @property
    def postgres_dsn(self) -> str:
        """DSN of a superuser."""
        return self._address("postgres")

    @property
    def redis_url(self) -> str:
        """URL of a Redis or Valkey."""
        return self._address("redis")

    @property
    def kafka_bootstrap(self) -> str:
        """`host:port` of a broker that makes no topic by itself."""
        return self._address("kafka")

    @property
    def citus_dsn(self) -> str | None:
        """DSN of a superuser on a Citus coordinator; None if there is none."""
        is_missing = self._choices["citus"].source is Source.MISSING
        return None if is_missing else self._address("citus")

    def _address(self, server: str) -> str:
        if server not in self._addresses:
            self._addresses[server] = self._running.enter_context(self._source(server))
        return self._addresses[server]

    def _source(self, server: str) -> AbstractContextManager[str]:
        choice = self._choices[server]
        if choice.source is Source.GIVEN:
            assert choice.address is not None
            return nullcontext(choice.address)
        if choice.source is Source.DOCKER:
            return _CONTAINERS[server]()
        return _EMBEDDED[server](self._folder)
