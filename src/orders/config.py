"""Settings, read from the environment.

Every setting is a field of ``Settings``; its variable is ``ORDERS_`` and the name in upper case.
The same name with ``_FILE`` reads the value from a file instead, for mounted secrets. A ``.env``
file in the working directory provides what the environment does not set. An empty value counts as
not set.
"""

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from dotenv import dotenv_values
from dotenv.parser import parse_stream
from msgspec import Meta, Struct

from orders import addresses
from orders.usable_memory import usable_memory

PREFIX = "ORDERS_"
REPLAYS = ".replays"
"""The topic of replays has the name of that of dead letters, and this."""

LOCAL_SHARE = 8
"""The local caches of all workers together take one in so many parts of the usable memory."""
LEAST_LOCAL_BYTES = 64 * 2**20
"""What the local cache of a worker takes at least."""

_Count = Annotated[int, Meta(ge=1, extra={"rule": "must be a whole number of 1 or more"})]
_Text = Annotated[str, Meta(min_length=1)]


def _kafka_name(longest: int) -> Meta:
    """Kafka's rule for names of topics and members."""
    return Meta(
        pattern=rf"^(?!\.{{1,2}}$)[a-zA-Z0-9._-]{{1,{longest}}}$",
        extra={"rule": f"must be 1 to {longest} of a-z A-Z 0-9 . _ - and neither . nor .."},
    )


_Topic = Annotated[str, _kafka_name(249)]


def _about(text: str, *, secret: bool = False) -> Meta:
    return Meta(description=text, extra={"secret": secret})


def _choice(*values: str) -> dict[str, str]:
    return {"rule": "must be one of " + ", ".join(values)}


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings, validated. None means not set."""

    postgres_dsn: Annotated[
        str | None, _about("PostgreSQL: libpq URL or key=value string", secret=True)
    ] = None
    postgres_read_dsn: Annotated[
        str | None,
        _about("PostgreSQL replica that the API reads from; not set: none", secret=True),
    ] = None
    legacy_dsn: Annotated[
        str | None,
        _about("PostgreSQL of the old service, for `import --legacy` and `compare`", secret=True),
    ] = None
    postgres_pooler: Annotated[
        Literal["session", "transaction"],
        Meta(extra=_choice("session", "transaction")),
        _about("pool mode of a pooler such as PgBouncer; leave it at session if there is none"),
    ] = "session"
    postgres_pool_max: Annotated[
        _Count, _about("connections to PostgreSQL per process; a health check may make one more")
    ] = 8
    postgres_liveness_timeout: Annotated[
        _Count, _about("seconds after which a PostgreSQL that reacts to nothing is given up")
    ] = 8
    redis_url: Annotated[
        str | None,
        _about(
            "redis://host, redis+cluster://host:port,... or "
            "redis+sentinel://host:port,.../service; with TLS rediss; none: no cache",
            secret=True,
        ),
    ] = None
    cache_capacity: Annotated[_Count, _about("orders in Redis; none of more than 64 KiB")] = 200
    cache_local_bytes: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        Meta(extra={"rule": "must be a whole number of 0 or more"}),
        _about(
            "memory of the local cache of each API worker, bytes; 0: no local cache; not set: by "
            "the memory that the API may use"
        ),
    ] = None
    cache_prefix: Annotated[
        str,
        Meta(pattern=r"^[^{}]+$", extra={"rule": "must not be empty nor hold { or }"}),
        _about("prefix of all keys in Redis"),
    ] = "orders"
    kafka_bootstrap: Annotated[str | None, _about("Kafka: host:port, comma-separated")] = None
    kafka_topic: Annotated[_Topic, _about("the topic that orders arrive on")] = "orders"
    kafka_dlq_topic: Annotated[
        Annotated[str, _kafka_name(249 - len(REPLAYS))], _about("the topic of dead letters")
    ] = "orders.dlq"
    kafka_group: Annotated[_Text, _about("the consumer group")] = "orders-group"
    kafka_partitions: Annotated[_Count, _about("partitions of topics that are created")] = 6
    kafka_replication: Annotated[_Count, _about("replicas of topics that are created")] = 1
    kafka_dlq_retention: Annotated[
        Annotated[
            str,
            Meta(
                pattern=r"^(forever|[1-9][0-9]{0,4}[hd])$",
                extra={"rule": "must be forever, or a number of hours or days such as 90d"},
            ),
        ],
        _about("how long the topic of dead letters keeps them, if it is created here"),
    ] = "forever"
    kafka_instance_id: Annotated[
        Annotated[str, _kafka_name(249)] | None,
        _about("static group membership: faster restarts, no takeover by others during them"),
    ] = None
    kafka_session_timeout: Annotated[
        Annotated[
            int,
            Meta(ge=1, le=300, extra={"rule": "must be a whole number of seconds from 1 to 300"}),
        ],
        _about("seconds after which others take over from a consumer that is silent"),
    ] = 6
    kafka_security_protocol: Annotated[
        Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"],
        Meta(extra=_choice("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")),
        _about("as in Kafka"),
    ] = "PLAINTEXT"
    kafka_sasl_mechanism: Annotated[
        Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] | None,
        Meta(extra=_choice("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER")),
        _about("as in Kafka"),
    ] = None
    kafka_sasl_username: Annotated[str | None, _about("as in Kafka")] = None
    kafka_sasl_password: Annotated[str | None, _about("as in Kafka", secret=True)] = None
    kafka_token_file: Annotated[
        str | None, _about("file with the token for OAUTHBEARER; read for each connection")
    ] = None
    kafka_token_command: Annotated[
        str | None,
        _about("command that prints the token instead; run for each connection", secret=True),
    ] = None
    kafka_ssl_cafile: Annotated[
        str | None, _about("file with the CA certificates for the brokers")
    ] = None
    kafka_ssl_certificate: Annotated[
        str | None, _about("file with the certificate that brokers ask of clients")
    ] = None
    kafka_ssl_key: Annotated[str | None, _about("file with its key; not set: in the same file")] = (
        None
    )
    kafka_ssl_key_password: Annotated[
        str | None, _about("password of that key, if it is encrypted", secret=True)
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
        _Count, _about("connections to each worker of the API; further ones are refused")
    ] = 4096
    http_max_listeners: Annotated[
        _Count, _about("streams of /orders/events of each worker of the API; further ones get 503")
    ] = 2000
    http_allowed_hosts: Annotated[
        str | None, _about("host names in requests to the API, comma-separated; not set: any")
    ] = None
    http_health_port: Annotated[
        Annotated[int, Meta(ge=1, le=65535, extra={"rule": "must be a port from 1 to 65535"})]
        | None,
        _about("further port for health checks and metrics of the API; not set: none"),
    ] = None
    http_health_host: Annotated[_Text, _about("address of that port")] = "127.0.0.1"
    http_metrics: Annotated[
        bool,
        Meta(extra={"rule": "must be true or false"}),
        _about("GET /metrics on the API's port too, not on that for health checks alone"),
    ] = True
    http_auth: Annotated[
        Literal["none", "keys", "jwt"],
        Meta(extra=_choice("none", "keys", "jwt")),
        _about("what clients of the API need: nothing, a key, or a JSON Web Token"),
    ] = "none"
    http_keys_file: Annotated[
        str | None, _about("file of `orders keys`; read again when it changes")
    ] = None
    http_jwt_issuer: Annotated[str | None, _about("issuer of the tokens (`iss`)")] = None
    http_jwt_audience: Annotated[str | None, _about("whom they are for (`aud`)")] = None
    http_jwt_jwks: Annotated[
        str | None, _about("the issuer's public keys (JWKS): file, or https:// URL")
    ] = None
    http_jwt_algorithms: Annotated[
        str, _about("algorithms that tokens may be signed with, comma-separated")
    ] = "RS256,ES256"
    http_jwt_leeway: Annotated[
        int,
        Meta(ge=0, le=600, extra={"rule": "must be a whole number from 0 to 600"}),
        _about("seconds that the issuer's clock may differ"),
    ] = 30
    http_session_secret: Annotated[
        Annotated[str, Meta(min_length=32)] | None,
        Meta(extra={"rule": "must have 32 characters or more"}),
        _about(
            "signs sessions of the page, one for all API processes; not set: made at the start",
            secret=True,
        ),
    ] = None
    http_failure_limit: Annotated[
        str, _about("wrong keys or tokens from one address, per worker")
    ] = "30/minute"
    http_rate_limit: Annotated[
        str | None,
        _about("requests of one key or address, per worker, such as 600/minute; not set: any"),
    ] = None
    http_send_limit: Annotated[
        str | None,
        _about(
            "bytes of orders that one key or address sends, per worker, such as 20000000/minute; "
            "not set: any"
        ),
    ] = None
    http_concurrency_limit: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(extra={"rule": "must be a whole number of 1 or more"}),
        _about(
            "requests of one key, or without access control one address, at a time, per worker; "
            "not set: any"
        ),
    ] = None
    http_trusted_proxies: Annotated[
        str | None,
        _about(
            "proxies whose X-Forwarded-For and -Proto are believed: addresses or networks, "
            "comma-separated"
        ),
    ] = None
    http_tls_certificate: Annotated[
        str | None, _about("file with the API's certificate and its chain; not set: no TLS")
    ] = None
    http_tls_key: Annotated[str | None, _about("file with its key; not set: in the same file")] = (
        None
    )
    random_max: Annotated[_Count, _about("the most orders that one /random creates")] = 1000
    page_money: Annotated[
        Literal["major", "minor"],
        Meta(extra=_choice("major", "minor")),
        _about("unit of amounts, for the page: major (dollars, rubles) or minor (cents, kopecks)"),
    ] = "major"
    migrate_on_start: Annotated[
        bool,
        Meta(extra={"rule": "must be true or false"}),
        _about("api and consumer apply missing migrations"),
    ] = True
    consumer_health_port: Annotated[
        Annotated[int, Meta(ge=1, le=65535, extra={"rule": "must be a port from 1 to 65535"})]
        | None,
        _about("port for health checks and metrics of the consumer; not set: none"),
    ] = None
    consumer_health_host: Annotated[_Text, _about("address of that port")] = "127.0.0.1"
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
    tracing: Annotated[
        bool,
        Meta(extra={"rule": "must be true or false"}),
        _about("API and consumer record spans; OTEL_* variables say where they go"),
    ] = False
    tracing_client_limit: Annotated[
        int,
        Meta(ge=0, extra={"rule": "must be a whole number of 0 or more"}),
        _about("requests a second whose traceparent has them recorded, for each API process"),
    ] = 10

    audit_log: Annotated[
        _Text | None,
        _about("where the audit log goes: stdout, stderr or a file; not set: no audit"),
    ] = None
    audit_key: Annotated[
        Annotated[
            str, Meta(min_length=16, extra={"rule": "must have 16 characters or more, at random"})
        ]
        | None,
        _about("key by which the audit log hashes order_uids; not set: in plain", secret=True),
    ] = None

    @property
    def local_cache_bytes(self) -> int:
        """``cache_local_bytes``; if it is not set, the worker's part of a share of the memory."""
        if self.cache_local_bytes is not None:
            return self.cache_local_bytes
        return max(LEAST_LOCAL_BYTES, usable_memory() // LOCAL_SHARE // self.http_workers)

    @property
    def allowed_hosts(self) -> tuple[str, ...]:
        """The names in ``http_allowed_hosts``."""
        names = (self.http_allowed_hosts or "").split(",")
        return tuple(name.strip(" []") for name in names if name.strip())

    @property
    def jwt_algorithms(self) -> tuple[str, ...]:
        """The names in ``http_jwt_algorithms``."""
        return tuple(name.strip() for name in self.http_jwt_algorithms.split(","))

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
    only: Sequence[str] = (),
    dotenv: Path | None = Path(".env"),
) -> Settings:
    """Load settings from ``environment``, then ``dotenv``; fields in ``required`` must be set.

    With ``only``, the other fields are neither read nor checked.

    Raises:
        ConfigError: with every fault at once.
    """
    given = _given(environment, dotenv)
    faults: list[str] = []
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(Settings):
        if only and field.name not in only:
            continue
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
        if fault := _FAULTS.get(field.name, _no_fault)(raw):
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
    """Return the settings by variable, with passwords hidden and None for those not set."""
    fields = msgspec.structs.fields(Settings)
    values = (getattr(settings, field.name) for field in fields)
    shows = (_SHOWN.get(field.name, _text) for field in fields)
    return {
        variable.name: None if value is None else show(value)
        for variable, value, show in zip(variables(), values, shows, strict=True)
    }


def unknown(environment: Mapping[str, str], *, dotenv: Path | None = Path(".env")) -> list[str]:
    """Return unknown variables with our prefix, which may be misspelt."""
    known = {variable.name for variable in variables()}
    known |= {name + "_FILE" for name in known}
    try:
        given = _given(environment, dotenv)
    except ConfigError:  # `load` reports it
        given = dict(environment)
    return sorted(
        name
        for name in given
        if name.startswith(PREFIX) and not name.startswith("ORDERS_TEST_") and name not in known
    )


def read_dotenv(path: Path) -> dict[str, str | None]:
    """Return the variables in a ``.env`` file; none if there is no such file.

    Raises:
        ConfigError: it cannot be read, is not UTF-8, or has a line that is no assignment.
    """
    if not path.is_file():
        return {}
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError:
        raise ConfigError([f"{path}: cannot be read"]) from None
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:  # UTF-16 without a mark of the byte order decodes as UTF-8
        raise ConfigError([f"{path}: is not a text in UTF-8: save it in that encoding"])
    bad = [part.original.line for part in parse_stream(StringIO(text)) if part.error]
    if bad:
        raise ConfigError([f"{path}: line {line} is not NAME=value" for line in bad])
    return dotenv_values(stream=StringIO(text))


def _given(environment: Mapping[str, str], dotenv: Path | None) -> dict[str, str]:
    from_file = read_dotenv(dotenv) if dotenv else {}
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
        return Path(path).read_text(encoding="utf-8-sig").rstrip("\r\n") or None
    except OSError as error:
        faults.append(f"{name}_FILE: names a file that cannot be read ({error.strerror})")
        return None
    except UnicodeDecodeError:
        faults.append(f"{name}_FILE: names a file that is not text in UTF-8")
        return None


def _joint_faults(values: Mapping[str, Any]) -> list[str]:
    """Check rules between settings."""
    faults = [*_kafka_security_faults(values), *_access_faults(values)]
    if values.get("tracing") and not all(map(_is_installed, _TRACING_PACKAGES)):
        faults.append("ORDERS_TRACING: needs packages that are missing: install orders[tracing]")
    topic, dlq_topic = (
        # Kafka takes . and _ for the same: of two such topics it creates only one.
        values.get(name, getattr(Settings(), name)).replace(".", "_")
        for name in ("kafka_topic", "kafka_dlq_topic")
    )
    if topic in {dlq_topic, dlq_topic + REPLAYS.replace(".", "_")}:
        faults.append(
            "ORDERS_KAFKA_DLQ_TOPIC: neither it nor it with .replays must be the topic that "
            "orders arrive on, also if . and _ are taken for the same"
        )
    return faults


def _kafka_security_faults(values: Mapping[str, Any]) -> list[str]:
    """What is missing for the chosen protocol and mechanism, and what they would not use.

    The latter is refused because it would be believed to protect something.
    """
    protocol = values.get("kafka_security_protocol", Settings().kafka_security_protocol)
    passwords = ("kafka_sasl_username", "kafka_sasl_password")
    tokens = ("kafka_token_file", "kafka_token_command")
    faults: list[str] = []

    def refuse(names: Sequence[str], why: str) -> None:
        faults.extend(f"{_variable(name)}: {why}" for name in names if name in values)

    if not protocol.endswith("SSL"):
        refuse(
            ("kafka_ssl_cafile", *_CLIENT_CERTIFICATE),
            "needs ORDERS_KAFKA_SECURITY_PROTOCOL SSL or SASL_SSL",
        )
    elif "kafka_ssl_certificate" not in values:
        refuse(_CLIENT_CERTIFICATE, "needs ORDERS_KAFKA_SSL_CERTIFICATE")
    elif fault := addresses.key_fault(
        values["kafka_ssl_certificate"],
        values.get("kafka_ssl_key"),
        values.get("kafka_ssl_key_password"),
    ):
        faults.append(f"ORDERS_KAFKA_SSL_CERTIFICATE: {fault}")
    if not protocol.startswith("SASL"):
        refuse(
            ("kafka_sasl_mechanism", *passwords, *tokens),
            "needs ORDERS_KAFKA_SECURITY_PROTOCOL SASL_SSL or SASL_PLAINTEXT",
        )
    elif values.get("kafka_sasl_mechanism") == "OAUTHBEARER":
        refuse(passwords, "is not for OAUTHBEARER")
        if sum(name in values for name in tokens) != 1:
            faults.append("ORDERS_KAFKA_TOKEN_FILE: is required, or ORDERS_KAFKA_TOKEN_COMMAND")
    else:
        refuse(tokens, "is for OAUTHBEARER only")
        faults += [
            f"{_variable(name)}: is required with this ORDERS_KAFKA_SECURITY_PROTOCOL"
            for name in ("kafka_sasl_mechanism", *passwords)
            if name not in values
        ]
    return faults


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # a package that it is in
        return False


def _access_faults(values: Mapping[str, Any]) -> list[str]:
    """What is missing for the chosen ORDERS_HTTP_AUTH, and what it would not use."""
    chosen = values.get("http_auth", Settings().http_auth)
    needed = {"keys": _FOR_KEYS, "jwt": _FOR_TOKENS}
    faults = [
        f"{_variable(name)}: is required with ORDERS_HTTP_AUTH={chosen}"
        for name in needed.get(chosen, ())
        if name not in values
    ]
    faults += [
        f"{_variable(name)}: needs ORDERS_HTTP_AUTH={auth}"
        for auth, names in needed.items()
        for name in names
        if auth != chosen and name in values
    ]
    certificate, key = values.get("http_tls_certificate"), values.get("http_tls_key")
    if certificate is None and key is not None:
        faults.append("ORDERS_HTTP_TLS_KEY: needs ORDERS_HTTP_TLS_CERTIFICATE")
    elif certificate is not None and (fault := addresses.key_fault(certificate, key, None)):
        faults.append(f"ORDERS_HTTP_TLS_CERTIFICATE: {fault}")
    return faults


def _rate_fault(value: str) -> str | None:
    from limits import parse_many  # noqa: PLC0415 (most commands need not load it)

    try:
        if all(rate.amount > 0 for rate in parse_many(value)):
            return None
    except ValueError:
        pass
    return "must be limits such as 600/minute or 20/second;600/minute"


def _algorithms_fault(value: str) -> str | None:
    if {name.strip() for name in value.split(",")} <= _ALGORITHMS:
        return None
    return f"must be some of {', '.join(sorted(_ALGORITHMS))}, separated by commas"


def _no_fault(_: str) -> str | None:
    return None


_TRACING_PACKAGES = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http")
_CLIENT_CERTIFICATE = ("kafka_ssl_certificate", "kafka_ssl_key", "kafka_ssl_key_password")
_FOR_KEYS = ("http_keys_file",)
_FOR_TOKENS = ("http_jwt_issuer", "http_jwt_audience", "http_jwt_jwks")
# None with a shared secret: whoever can verify such a token could make one.
_ALGORITHMS = {
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
}
_FAULTS = {
    "postgres_dsn": addresses.postgres_fault,
    "postgres_read_dsn": addresses.postgres_fault,
    "legacy_dsn": addresses.postgres_fault,
    "redis_url": addresses.redis_fault,
    "kafka_bootstrap": addresses.bootstrap_fault,
    "kafka_ssl_cafile": addresses.ca_file_fault,
    "kafka_ssl_certificate": addresses.file_fault,
    "kafka_ssl_key": addresses.file_fault,
    "kafka_token_file": addresses.file_fault,
    "kafka_token_command": addresses.command_fault,
    "audit_log": addresses.log_file_fault,
    "http_keys_file": addresses.file_fault,
    "http_jwt_jwks": addresses.file_or_https_fault,
    "http_jwt_algorithms": _algorithms_fault,
    "http_failure_limit": _rate_fault,
    "http_rate_limit": _rate_fault,
    "http_send_limit": _rate_fault,
    "http_trusted_proxies": addresses.networks_fault,
    "http_tls_certificate": addresses.file_fault,
    "http_tls_key": addresses.file_fault,
}
_SHOWN: dict[str, Callable[[Any], str | None]] = {
    "postgres_dsn": addresses.shown_postgres,
    "postgres_read_dsn": addresses.shown_postgres,
    "legacy_dsn": addresses.shown_postgres,
    "redis_url": addresses.shown_redis,
    "kafka_sasl_password": lambda _: addresses.HIDDEN,
    "kafka_ssl_key_password": lambda _: addresses.HIDDEN,
    "kafka_token_command": lambda _: addresses.HIDDEN,
    "audit_key": lambda _: addresses.HIDDEN,
    "http_session_secret": lambda _: addresses.HIDDEN,
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
