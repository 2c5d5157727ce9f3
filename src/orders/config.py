"""Settings, read from the environment.

Every setting is a field of ``Settings``; its variable is ``ORDERS_`` and the name in upper case.
The same name with ``_FILE`` reads the value from a file instead, for mounted secrets. A ``.env``
file in the working directory provides what the environment does not set. An empty value counts as
not set.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin
from urllib.parse import urlsplit

import msgspec
from dotenv import dotenv_values
from msgspec import Meta, Struct
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

PREFIX = "ORDERS_"
_HIDDEN = "********"

_Count = Annotated[int, Meta(ge=1, extra={"rule": "must be a whole number of 1 or more"})]
_Text = Annotated[str, Meta(min_length=1)]


def _about(text: str, *, secret: bool = False) -> Meta:
    return Meta(description=text, extra={"secret": secret})


def _choice(*values: str) -> dict[str, str]:
    return {"rule": "must be one of " + ", ".join(values)}


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings, validated. None means not set."""

    postgres_dsn: Annotated[
        str | None, _about("PostgreSQL: libpq URL or key=value string", secret=True)
    ] = None
    postgres_pool_max: Annotated[_Count, _about("connections to PostgreSQL per process")] = 8
    postgres_liveness_timeout: Annotated[
        _Count, _about("seconds after which a PostgreSQL that reacts to nothing is given up")
    ] = 8
    redis_url: Annotated[
        str | None,
        _about("redis://, rediss:// or redis+cluster://host:port,...; none: no cache", secret=True),
    ] = None
    cache_capacity: Annotated[_Count, _about("orders in the cache")] = 200
    cache_local_bytes: Annotated[
        int,
        Meta(ge=0, extra={"rule": "must be a whole number of 0 or more"}),
        _about("memory of the local cache of each API process, bytes; 0: no local cache"),
    ] = 8_388_608
    cache_prefix: Annotated[
        str,
        Meta(pattern=r"^[^{}]+$", extra={"rule": "must not be empty nor hold { or }"}),
        _about("prefix of all keys in Redis"),
    ] = "orders"
    kafka_bootstrap: Annotated[str | None, _about("Kafka: host:port, comma-separated")] = None
    kafka_topic: Annotated[_Text, _about("the topic that orders arrive on")] = "orders"
    kafka_dlq_topic: Annotated[_Text, _about("the topic of dead letters")] = "orders.dlq"
    kafka_group: Annotated[_Text, _about("the consumer group")] = "orders-group"
    kafka_partitions: Annotated[_Count, _about("partitions of topics that are created")] = 1
    kafka_replication: Annotated[_Count, _about("replicas of topics that are created")] = 1
    kafka_instance_id: Annotated[
        str | None, _about("static group membership: faster restarts, slower takeover")
    ] = None
    kafka_security_protocol: Annotated[
        Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"],
        Meta(extra=_choice("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")),
        _about("as in Kafka"),
    ] = "PLAINTEXT"
    kafka_sasl_mechanism: Annotated[
        Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None,
        Meta(extra=_choice("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")),
        _about("as in Kafka"),
    ] = None
    kafka_sasl_username: Annotated[str | None, _about("as in Kafka")] = None
    kafka_sasl_password: Annotated[str | None, _about("as in Kafka", secret=True)] = None
    kafka_ssl_cafile: Annotated[
        str | None, _about("file with the CA certificates for the brokers")
    ] = None
    http_host: Annotated[_Text, _about("address that the API listens on")] = "127.0.0.1"
    http_port: Annotated[
        int,
        Meta(ge=1, le=65535, extra={"rule": "must be a port from 1 to 65535"}),
        _about("port that the API listens on"),
    ] = 8080
    http_workers: Annotated[_Count, _about("worker processes of the API")] = 1
    http_max_body: Annotated[_Count, _about("largest body of POST /orders, bytes")] = 10_000_000
    http_body_timeout: Annotated[_Count, _about("seconds that a request body may take")] = 30
    http_idle_timeout: Annotated[
        _Count, _about("seconds that a connection may take for the headers of its next request")
    ] = 60
    http_max_connections: Annotated[
        _Count, _about("connections to each worker of the API; others wait")
    ] = 4096
    http_allowed_hosts: Annotated[
        str | None, _about("host names in requests to the API, comma-separated; not set: any")
    ] = None
    http_health_port: Annotated[
        Annotated[int, Meta(ge=1, le=65535, extra={"rule": "must be a port from 1 to 65535"})]
        | None,
        _about("further port for health checks of the API; not set: none"),
    ] = None
    http_health_host: Annotated[_Text, _about("address of that port")] = "127.0.0.1"
    random_max: Annotated[_Count, _about("the most orders that one /random creates")] = 1000
    migrate_on_start: Annotated[
        bool,
        Meta(extra={"rule": "must be true or false"}),
        _about("api and consumer apply missing migrations"),
    ] = True
    consumer_health_port: Annotated[
        Annotated[int, Meta(ge=1, le=65535, extra={"rule": "must be a port from 1 to 65535"})]
        | None,
        _about("port for health checks of the consumer; not set: none"),
    ] = None
    consumer_health_host: Annotated[_Text, _about("address for health checks of the consumer")] = (
        "127.0.0.1"
    )
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(extra=_choice("debug", "info", "warning", "error")),
        _about("the lowest level that is logged"),
    ] = "info"
    log_format: Annotated[
        Literal["auto", "json", "console"],
        Meta(extra=_choice("auto", "json", "console")),
        _about("auto: console on a terminal, else JSON lines"),
    ] = "auto"

    @property
    def allowed_hosts(self) -> tuple[str, ...]:
        """The names in ``http_allowed_hosts``."""
        names = (self.http_allowed_hosts or "").split(",")
        return tuple(name.strip(" []") for name in names if name.strip())

    def __repr__(self) -> str:
        """Return a text without values, since some are secrets and a repr may be logged."""
        return "Settings(...)"


class ConfigError(Exception):
    """The settings are not valid; ``faults`` lists all faults, without values."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


class Variable(Struct, frozen=True):
    """A variable for the help text; ``default`` as it would be written, or None."""

    name: str
    default: str | None
    meaning: str
    secret: bool


def load(
    environment: Mapping[str, str],
    *,
    required: Sequence[str] = (),
    dotenv: Path | None = Path(".env"),
) -> Settings:
    """Load settings from ``environment``, then ``dotenv``; fields in ``required`` must be set.

    Raises:
        ConfigError: with every fault at once.
    """
    given = _given(environment, dotenv)
    faults: list[str] = []
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(Settings):
        name = _variable(field.name)
        raw = _raw(name, given, faults)
        if raw is None:
            if field.name in required:
                faults.append(f"{name}: is required")
            continue
        try:
            value = msgspec.convert(raw, field.type, strict=False)
        except msgspec.ValidationError:
            faults.append(f"{name}: {_extra(field.type).get('rule', 'is not valid')}")
            continue
        if fault := _URL_FAULTS.get(field.name, _no_fault)(raw):
            faults.append(f"{name}: {fault}")
        values[field.name] = value
    faults += _joint_faults(values)
    if faults:
        raise ConfigError(faults)
    return Settings(**values)


def variables() -> list[Variable]:
    """Return all variables in the order of ``Settings``."""
    found = []
    for field in msgspec.structs.fields(Settings):
        extra = _extra(field.type)
        default = _text(field.default)
        found.append(
            Variable(_variable(field.name), default, extra["description"], bool(extra["secret"]))
        )
    return found


def shown(settings: Settings) -> dict[str, str | None]:
    """Return the settings by variable, with secrets hidden and None for those not set."""
    values = (getattr(settings, field.name) for field in msgspec.structs.fields(Settings))
    return {
        variable.name: _HIDDEN if variable.secret and value is not None else _text(value)
        for variable, value in zip(variables(), values, strict=True)
    }


def unknown(environment: Mapping[str, str], *, dotenv: Path | None = Path(".env")) -> list[str]:
    """Return unknown variables with our prefix, which may be misspelt."""
    known = {variable.name for variable in variables()}
    known |= {name + "_FILE" for name in known}
    return sorted(
        name
        for name in _given(environment, dotenv)
        if name.startswith(PREFIX) and not name.startswith("ORDERS_TEST_") and name not in known
    )


def _given(environment: Mapping[str, str], dotenv: Path | None) -> dict[str, str]:
    from_file = dotenv_values(dotenv) if dotenv and dotenv.is_file() else {}
    given = {name: value for name, value in from_file.items() if value}
    for name, value in environment.items():
        if value:
            # The environment wins over the file, whichever of the two names it sets.
            given.pop(name.removesuffix("_FILE"), None)
            given.pop(name + "_FILE", None)
    return given | {name: value for name, value in environment.items() if value}


def _raw(name: str, given: Mapping[str, str], faults: list[str]) -> str | None:
    path = given.get(name + "_FILE")
    if path is None:
        return given.get(name)
    if name in given:
        faults.append(f"{name}: is set both itself and by {name}_FILE")
        return None
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n") or None
    except (OSError, UnicodeDecodeError):
        faults.append(f"{name}_FILE: names a file that cannot be read")
        return None


def _joint_faults(values: Mapping[str, Any]) -> list[str]:
    """Check rules between settings."""
    faults = []
    if str(values.get("kafka_security_protocol", "")).startswith("SASL"):
        faults += [
            f"{_variable(name)}: is required with this ORDERS_KAFKA_SECURITY_PROTOCOL"
            for name in ("kafka_sasl_mechanism", "kafka_sasl_username", "kafka_sasl_password")
            if values.get(name) is None
        ]
    topic = values.get("kafka_topic", Settings().kafka_topic)
    if topic == values.get("kafka_dlq_topic", Settings().kafka_dlq_topic):
        faults.append("ORDERS_KAFKA_DLQ_TOPIC: must not be the topic that orders arrive on")
    return faults


def _postgres_fault(value: str) -> str | None:
    try:
        conninfo_to_dict(value)
    except ProgrammingError:
        return "must be a libpq URL or key=value string"
    return None


def _redis_fault(value: str) -> str | None:
    scheme, _, rest = value.partition("://")
    if scheme not in {"redis", "rediss", "redis+cluster"} or not rest:
        return "must begin with redis://, rediss:// or redis+cluster:// and name a host"
    return None


def _bootstrap_fault(value: str) -> str | None:
    for server in value.split(","):
        try:
            parts = urlsplit("//" + server.strip())
            complete = bool(parts.hostname and parts.port)
        except ValueError:  # an invalid port
            complete = False
        if not complete:
            return "must be host:port, or several of them separated by commas"
    return None


def _no_fault(_: str) -> str | None:
    return None


_URL_FAULTS = {
    "postgres_dsn": _postgres_fault,
    "redis_url": _redis_fault,
    "kafka_bootstrap": _bootstrap_fault,
}


def _variable(field: str) -> str:
    return PREFIX + field.upper()


def _extra(kind: Any) -> dict[str, Any]:
    """Return what the ``Meta`` of a field say together."""
    found: dict[str, Any] = {}
    if get_origin(kind) is Annotated:
        for meta in get_args(kind)[1:]:
            found |= meta.extra or {}
            if meta.description:
                found["description"] = meta.description
    return found


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)
