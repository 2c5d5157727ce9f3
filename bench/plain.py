"""Runs the plain Python service beside the product, on the same servers."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

from psycopg.conninfo import conninfo_to_dict

from bench.place import ROOT, Place
from bench.product import Running, is_ready, running
from tests.integration.system.processes import free_port

PLAIN = "plain Python service"
_PYTHON = ROOT / "build" / "plain-service" / "bin" / "python"
_MISSING = f"{_PYTHON.relative_to(ROOT)} is not there: run `make plain-service`"


def is_here(place: Place) -> bool:
    """Whether it is installed; otherwise the report says that it is left out."""
    if not _PYTHON.exists():
        place.skipped[PLAIN] = _MISSING
    return _PYTHON.exists()


@contextmanager
def plain_api(place: Place, dsn: str) -> Iterator[Running]:
    """Its API, ready; one worker, without an access log."""
    environment = place.environment(dsn, ORDERS_HTTP_PORT=str(free_port()))
    port = f"--port={environment['ORDERS_HTTP_PORT']}"
    quiet = ("--no-access-log", "--log-level=warning")
    argv = ("-m", "uvicorn", "bench.plain_service.web:app", port, *quiet)
    with _running(place, "plain api", argv, environment) as made:
        made.wait_until(lambda: is_ready(made.port), "ready")
        yield made


@contextmanager
def plain_copy(place: Place, dsn: str) -> Iterator[Running | None]:
    """The same on a copy of this database, which nobody may use just now; None: not installed."""
    if not is_here(place):
        yield None
        return
    with place.database(like=dsn) as copy, plain_api(place, copy) as made:
        yield made


@contextmanager
def plain_consumer(place: Place, dsn: str, topic: str) -> Iterator[Running]:
    """Its consumer, started, no more."""
    environment = place.environment(dsn, topic)
    argv = ("-m", "bench.plain_service.consumer")
    with _running(place, "plain consumer", argv, environment) as made:
        yield made


@contextmanager
def _running(
    place: Place, name: str, argv: tuple[str, ...], environment: dict[str, str]
) -> Iterator[Running]:
    # The bench itself reads the product's names; the service has names of its own.
    theirs = {
        "POSTGRES_DSN": _url(environment["ORDERS_POSTGRES_DSN"]),
        "REDIS_URL": environment["ORDERS_REDIS_URL"],
        "CACHE_PREFIX": environment["ORDERS_CACHE_PREFIX"],
        "KAFKA_BOOTSTRAP": environment["ORDERS_KAFKA_BOOTSTRAP"],
        "KAFKA_TOPIC": environment["ORDERS_KAFKA_TOPIC"],
        "KAFKA_GROUP": environment["ORDERS_KAFKA_GROUP"],
        "PYTHONPATH": str(ROOT),
    }
    with running(place, name, environment | theirs, (str(_PYTHON), *argv)) as made:
        yield made


def _url(dsn: str) -> str:
    """The same as a URL, which is all that asyncpg takes."""
    found = {name: quote(str(value), safe="") for name, value in conninfo_to_dict(dsn).items()}
    user = f"{found['user']}:{found['password']}"
    return f"postgresql://{user}@{found['host']}:{found['port']}/{found['dbname']}"
