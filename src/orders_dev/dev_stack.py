"""The servers of one data folder, and the ports of these and of the API."""

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from orders.config import Settings, read_dotenv
from orders_dev import ports
from orders_dev.data_folder import DataFolder
from orders_dev.errors import UsageError
from orders_dev.kafka import KafkaBroker
from orders_dev.postgres import PostgresServer
from orders_dev.server import Server
from orders_dev.valkey import ValkeyServer

HTTP_PORT = "ORDERS_HTTP_PORT"
ALLOWED_HOSTS = "ORDERS_HTTP_ALLOWED_HOSTS"
HEALTH_PORT = "ORDERS_CONSUMER_HEALTH_PORT"
SERVER_PORTS = {
    "postgres": 5432,
    "valkey": 6379,
    "kafka": 9092,
    "controller": 9093,
    "health": 8081,  # the consumer's
}
_TITLES = {
    "postgres": "PostgreSQL",
    "valkey": "Valkey",
    "kafka": "Kafka",
    "controller": "Kafka's controller",
    "health": "the consumer's health",
}
_USUAL_HTTP = 8080
_HERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


@dataclass(frozen=True)
class DevStack:
    """The servers that `orders dev` runs, and the ports of the API and the consumer."""

    data: DataFolder
    postgres: PostgresServer
    valkey: ValkeyServer
    kafka: KafkaBroker
    http_port: int
    health_port: int

    @classmethod
    def on(cls, data: DataFolder, server_ports: Mapping[str, int], http_port: int) -> "DevStack":
        """Make the servers of a data folder on the given ports, without starting them."""
        path, logs = data.path, data.logs
        return cls(
            data,
            PostgresServer(path / "postgres", server_ports["postgres"], logs / "postgres.log"),
            ValkeyServer(path / "valkey", server_ports["valkey"], logs / "valkey.log"),
            KafkaBroker(
                path / "kafka",
                server_ports["kafka"],
                server_ports["controller"],
                log=logs / "kafka.log",
            ),
            http_port,
            server_ports["health"],
        )

    @property
    def servers(self) -> list[Server]:
        """All three servers."""
        return [self.postgres, self.valkey, self.kafka]

    def servers_needed(self, settings: Settings) -> list[Server]:
        """The servers for which the user has set no own address."""
        own = {
            self.postgres: settings.postgres_dsn,
            self.valkey: settings.redis_url,
            self.kafka: settings.kafka_bootstrap,
        }
        return [server for server, address in own.items() if not address]

    def child_environment(
        self, environment: Mapping[str, str], settings: Settings
    ) -> dict[str, str]:
        """The environment, with settings added for the servers that are started here."""
        filled = {HTTP_PORT: str(self.http_port)}
        if settings.consumer_health_port is None:
            filled[HEALTH_PORT] = str(self.health_port)
        if settings.http_allowed_hosts is None:
            filled[ALLOWED_HOSTS] = ",".join(own_host_names(settings))
        if not settings.postgres_dsn:
            filled["ORDERS_POSTGRES_DSN"] = self.postgres.dsn
        if not settings.redis_url:
            filled["ORDERS_REDIS_URL"] = self.valkey.url
        if not settings.kafka_bootstrap:
            filled["ORDERS_KAFKA_BOOTSTRAP"] = self.kafka.bootstrap
        by_file = {f"{name}_FILE" for name in filled}  # setting both is an error
        return {name: value for name, value in environment.items() if name not in by_file} | filled

    def url(self, settings: Settings) -> str:
        """The URL of the API on this machine."""
        scheme = "http" if settings.http_tls_certificate is None else "https"
        return _url(settings.http_host, self.http_port, scheme)

    def health_url(self, settings: Settings) -> str:
        """The URL of the consumer's health server on this machine."""
        return _url(
            settings.consumer_health_host, settings.consumer_health_port or self.health_port
        )


def preferred_ports(remembered: Mapping[str, int]) -> dict[str, int]:
    """The port of each server that is tried first: that of the last run, else its default."""
    return {name: remembered.get(name, usual) for name, usual in SERVER_PORTS.items()}


def choose_server_ports(
    remembered: Mapping[str, int], claim: Callable[[int], bool] = lambda _port: True
) -> dict[str, int]:
    """Choose a free port for each server: that of the last run, else its default, else any."""
    chosen: dict[str, int] = {}
    for name, preferred in preferred_ports(remembered).items():
        candidates = [preferred, SERVER_PORTS[name]]
        chosen[name] = ports.choose(candidates, taken=chosen.values(), claim=claim)
    return chosen


def replaced_ports(
    preferred: Mapping[str, int], chosen: Mapping[str, int], settings: Settings
) -> list[str]:
    """A sentence for each port in use here that was taken and had to be replaced."""
    own = {
        "postgres": settings.postgres_dsn,
        "valkey": settings.redis_url,
        "kafka": settings.kafka_bootstrap,
        "controller": settings.kafka_bootstrap,
        "health": settings.consumer_health_port,
    }
    return [
        f"Port {preferred[name]} is taken: {_TITLES[name]} gets {port}."
        for name, port in chosen.items()
        if port != preferred[name] and not own[name]
    ]


def choose_http_port(
    settings: Settings, *, asked_for: bool, claim: Callable[[int], bool] = lambda _port: True
) -> int:
    """Choose the port of the API.

    Args:
        settings: with the port and the address to listen on.
        asked_for: whether the user has set the port; if so, no other one is chosen.
        claim: called with a free port; False if another `orders dev` has it.

    Raises:
        UsageError: the port that the user has set is taken.
    """
    if ports.is_free(settings.http_port, local_host(settings)) and claim(settings.http_port):
        return settings.http_port
    if asked_for:
        raise UsageError(
            f"Port {settings.http_port} ({HTTP_PORT}) is taken by another program.",
            f"Stop that program, or set {HTTP_PORT} to another port.",
        )
    return ports.choose(
        range(_USUAL_HTTP + 1, _USUAL_HTTP + 20), taken=SERVER_PORTS.values(), claim=claim
    )


def asks_for_http_port(environment: Mapping[str, str], dotenv: Path = Path(".env")) -> bool:
    """Whether the user has set the port of the API."""
    names = (HTTP_PORT, f"{HTTP_PORT}_FILE")
    return any(given.get(name) for given in (environment, read_dotenv(dotenv)) for name in names)


def own_host_names(settings: Settings) -> list[str]:
    """The names of this machine: no foreign page can reach the API by one of its own."""
    names = {"localhost", "127.0.0.1", "::1", socket.gethostname(), settings.http_host}
    return sorted(names - {""})


def local_host(settings: Settings) -> str:
    """The address at which the API can be reached from this machine."""
    return _HERE.get(settings.http_host, settings.http_host)


def _url(host: str, port: int, scheme: str = "http") -> str:
    here = _HERE.get(host, host)
    return f"{scheme}://{f'[{here}]' if ':' in here else here}:{port}"
