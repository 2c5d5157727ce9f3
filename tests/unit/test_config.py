"""The settings: where they come from, and that every fault is told at once."""

import sys
from pathlib import Path
from typing import Any

import pytest

from orders.bootstrap import to_kafka_settings
from orders.config import REPLAYS, ConfigError, Settings, load, shown, unknown, variables

CERTIFICATE = Path(__file__).parents[1] / "data" / "tls" / "certificate.pem"
DSN = "postgresql://u:hunter2@db/orders"


def settings(*, dotenv: Path | None = None, **environment: Any) -> Settings:
    return load({f"ORDERS_{k}": v for k, v in environment.items()}, dotenv=dotenv)


def faults(required: tuple[str, ...] = (), **environment: Any) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load({f"ORDERS_{k}": v for k, v in environment.items()}, required=required, dotenv=None)
    return caught.value.faults


def test_the_documented_defaults() -> None:
    defaults = {v.name: v.default for v in variables()}
    assert defaults["ORDERS_POSTGRES_POOL_MAX"] == "8"
    assert defaults["ORDERS_CACHE_CAPACITY"] == "200"
    assert defaults["ORDERS_CACHE_PREFIX"] == "orders"
    assert defaults["ORDERS_KAFKA_TOPIC"] == "orders"
    assert defaults["ORDERS_KAFKA_DLQ_TOPIC"] == "orders.dlq"
    assert defaults["ORDERS_KAFKA_GROUP"] == "orders-group"
    assert defaults["ORDERS_KAFKA_PARTITIONS"] == "6"
    assert defaults["ORDERS_KAFKA_SECURITY_PROTOCOL"] == "PLAINTEXT"
    assert defaults["ORDERS_HTTP_HOST"] == "127.0.0.1"
    assert defaults["ORDERS_HTTP_PORT"] == "8080"
    assert defaults["ORDERS_RANDOM_MAX"] == "1000"
    assert defaults["ORDERS_MIGRATE_ON_START"] == "true"
    assert defaults["ORDERS_LOG_FORMAT"] == "auto"
    assert [n for n, d in defaults.items() if d is None][:6] == [
        "ORDERS_POSTGRES_DSN",
        "ORDERS_POSTGRES_READ_DSN",
        "ORDERS_LEGACY_DSN",
        "ORDERS_REDIS_URL",
        "ORDERS_CACHE_LOCAL_BYTES",
        "ORDERS_KAFKA_BOOTSTRAP",
    ]


def test_values_are_read_as_their_types() -> None:
    read = settings(HTTP_PORT="81", MIGRATE_ON_START="false", LOG_LEVEL="debug", POSTGRES_DSN=DSN)
    assert (read.http_port, read.migrate_on_start, read.log_level) == (81, False, "debug")
    assert read.postgres_dsn == DSN


@pytest.mark.parametrize("value", ["true", "1"])
def test_true_can_be_said_in_two_ways(value: str) -> None:
    assert settings(MIGRATE_ON_START=value).migrate_on_start is True


def test_every_fault_is_told_at_once_by_name_and_rule_and_without_the_value() -> None:
    told = faults(
        ("kafka_instance_id",),
        HTTP_PORT="99999",
        HTTP_WORKERS="none",
        LOG_LEVEL="loud",
        MIGRATE_ON_START="maybe",
        POSTGRES_DSN="hunter2 @",
        REDIS_URL="http://hunter2",
        KAFKA_BOOTSTRAP="broker",
    )
    assert [fault.split(":")[0] for fault in told] == [
        "ORDERS_POSTGRES_DSN",
        "ORDERS_REDIS_URL",
        "ORDERS_KAFKA_BOOTSTRAP",
        "ORDERS_KAFKA_INSTANCE_ID",
        "ORDERS_HTTP_PORT",
        "ORDERS_HTTP_WORKERS",
        "ORDERS_MIGRATE_ON_START",
        "ORDERS_LOG_LEVEL",
    ]
    assert "hunter2" not in "".join(told)
    assert "must be a port from 1 to 65535" in told[4]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("POSTGRES_DSN", "postgresql://h/x?nonsense=1"),
        ("REDIS_URL", "redis://"),
        ("KAFKA_BOOTSTRAP", "a:9092,b"),
        ("KAFKA_BOOTSTRAP", "a:notaport"),
        ("KAFKA_BOOTSTRAP", ":9092"),
        ("KAFKA_DLQ_TOPIC", "orders"),
        ("CACHE_CAPACITY", "0"),
        ("CACHE_PREFIX", "{a}"),
        ("HTTP_PORT", "0"),
        ("KAFKA_SASL_MECHANISM", "MAGIC"),
        ("POSTGRES_DSN", "host=h sslmode=verify_full"),
        ("POSTGRES_DSN", "postgresql://h/d?sslmode=on"),
        ("POSTGRES_DSN", "host=h target_session_attrs=readwrite"),
        ("POSTGRES_DSN", "host=h port=99999"),
        ("POSTGRES_DSN", "host=h connect_timeout=soon"),
        ("POSTGRES_DSN", "host=h sslmode=verify-full sslrootcert=/nowhere/ca.pem"),
        ("POSTGRES_DSN", f"host=h sslrootcert={__file__}"),
        ("POSTGRES_DSN", "host=h sslcert=/nowhere/cert.pem"),
        ("REDIS_URL", "redis://h1:1,h2:2"),
        ("REDIS_URL", "redis://h1,h2"),
        ("REDIS_URL", "redis:///0"),
        ("REDIS_URL", "redis://h:99999"),
        ("REDIS_URL", "redis://h/first"),
        ("REDIS_URL", "redis://:pa#ss@h"),
        ("REDIS_URL", "redis://:pa/ss@h"),
        ("REDIS_URL", "redis://h?decode_responses=true"),
        ("REDIS_URL", "redis://h?nonsense=1"),
        ("REDIS_URL", "redis://h?db=x"),
        ("REDIS_URL", "redis://h?socket_keepalive=maybe"),
        ("REDIS_URL", "redis://h?ssl_cert_reqs=none"),
        ("REDIS_URL", "rediss://h?ssl_cert_reqs=never"),
        ("REDIS_URL", "rediss://h?ssl_ca_certs=/nowhere/ca.pem"),
        ("REDIS_URL", f"rediss://h?ssl_ca_certs={__file__}"),
        ("POSTGRES_DSN", "host=h port=1,2"),
        ("REDIS_URL", "rediss://h?ssl_ca_path=/nowhere"),
        ("REDIS_URL", "rediss://h?ssl_ciphers=nope"),
        ("REDIS_URL", "rediss://h?ssl_min_version=7"),
        ("REDIS_URL", "redis+cluster://a:7000?ssl=true"),
        ("REDIS_URL", "redis+cluster://a:7000/1"),
        ("KAFKA_BOOTSTRAP", "PLAINTEXT://a:9092"),
        ("KAFKA_BOOTSTRAP", "a:9092,"),
        ("KAFKA_BOOTSTRAP", "a:9092/topic"),
        ("KAFKA_TOPIC", "my orders"),
        ("KAFKA_TOPIC", ".."),
        ("KAFKA_TOPIC", "x" * 250),
        ("KAFKA_TOPIC", "заказы"),
        ("KAFKA_TOPIC", "orders_dlq"),
        ("KAFKA_TOPIC", "orders.dlq.replays"),
        ("KAFKA_DLQ_TOPIC", "x" * 242),
        ("KAFKA_INSTANCE_ID", "a b"),
        ("KAFKA_SESSION_TIMEOUT", "0"),
        ("KAFKA_SESSION_TIMEOUT", "301"),
        ("KAFKA_SESSION_TIMEOUT", "6.5"),
        ("HTTP_AUTH", "basic"),
        ("HTTP_AUTH", "keys"),
        ("HTTP_KEYS_FILE", str(CERTIFICATE)),
        ("HTTP_JWT_ISSUER", "https://login.example"),
        ("HTTP_JWT_ALGORITHMS", "none"),
        ("HTTP_JWT_ALGORITHMS", "RS256,HS256"),
        ("HTTP_JWT_ALGORITHMS", "RS256,"),
        ("HTTP_JWT_LEEWAY", "-1"),
        ("HTTP_JWT_LEEWAY", "601"),
        ("HTTP_SESSION_SECRET", "hunter2"),
        ("HTTP_RATE_LIMIT", "600"),
        ("HTTP_RATE_LIMIT", "0/minute"),
        ("HTTP_RATE_LIMIT", "600/fortnight"),
        ("HTTP_SEND_LIMIT", "1MB/minute"),
        ("HTTP_FAILURE_LIMIT", "-1/minute"),
        ("HTTP_CONCURRENCY_LIMIT", "0"),
        ("HTTP_TRUSTED_PROXIES", "proxy.example"),
        ("HTTP_TRUSTED_PROXIES", "10.0.0.1/8"),
        ("HTTP_TRUSTED_PROXIES", "10.0.0.1,"),
        ("HTTP_TLS_CERTIFICATE", "/nowhere/cert.pem"),
        ("HTTP_TLS_CERTIFICATE", str(CERTIFICATE)),
        ("HTTP_TLS_KEY", str(CERTIFICATE)),
    ],
)
def test_what_is_refused(name: str, value: str) -> None:
    environment: dict[str, Any] = {name: value}
    assert len(faults(**environment)) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("POSTGRES_DSN", "host=db dbname=orders password='a b'"),
        ("REDIS_URL", "redis+cluster://a:7000,b:7001"),
        ("REDIS_URL", "rediss://:secret@cache:6380/1"),
        ("KAFKA_BOOTSTRAP", "a:9092, [::1]:9093"),
        ("POSTGRES_DSN", f"host=/run/postgresql sslmode=verify-full sslrootcert={CERTIFICATE}"),
        ("POSTGRES_DSN", "postgresql://a:1,b:2/d?target_session_attrs=read-write"),
        ("POSTGRES_DSN", "host=h sslrootcert=system sslmode=verify-full"),
        ("REDIS_URL", "redis://u:p%23%2F@[::1]:6379/3?client_name=a&socket_keepalive=yes"),
        ("REDIS_URL", f"rediss://h?ssl_ca_certs={CERTIFICATE}&ssl_check_hostname=false"),
        ("KAFKA_TOPIC", "Orders_v2-eu.new"),
    ],
)
def test_what_is_taken(name: str, value: str) -> None:
    environment: dict[str, Any] = {name: value}
    assert getattr(settings(**environment), name.lower()) == value


def test_sasl_asks_for_its_parts() -> None:
    assert len(faults(KAFKA_SECURITY_PROTOCOL="SASL_SSL")) == 3


LOGIN = {"SASL_MECHANISM": "PLAIN", "SASL_USERNAME": "u", "SASL_PASSWORD": "hunter2"}
TOKENS = {"SASL_MECHANISM": "OAUTHBEARER"}
IDENTITY = {"SSL_CERTIFICATE": str(CERTIFICATE), "SSL_KEY": str(CERTIFICATE.with_name("key.pem"))}
TOKEN = str(CERTIFICATE)  # any file


def kafka(protocol: str, **options: str) -> dict[str, Any]:
    named = {f"KAFKA_{name}": value for name, value in options.items()}
    return {"KAFKA_SECURITY_PROTOCOL": protocol} | named


@pytest.mark.parametrize(
    "given",
    [
        kafka("SSL", SSL_CAFILE=str(CERTIFICATE)),
        kafka("SSL", **IDENTITY),
        kafka("SASL_PLAINTEXT", **LOGIN),
        kafka("SASL_SSL", **LOGIN, **IDENTITY),
        kafka("SASL_SSL", **TOKENS, TOKEN_FILE=TOKEN),
        kafka("SASL_SSL", **TOKENS, TOKEN_COMMAND="sh -c 'echo token'"),
    ],
)
def test_ways_to_log_in_to_kafka(given: dict[str, Any]) -> None:
    read = settings(**given)
    assert all(getattr(read, name.lower()) == value for name, value in given.items())


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (kafka("SSL", SSL_CAFILE="/nowhere/ca.pem"), "SSL_CAFILE"),
        (kafka("SSL", SSL_CAFILE=__file__), "SSL_CAFILE"),
        (kafka("PLAINTEXT", SASL_PASSWORD="hunter2"), "SASL_PASSWORD"),
        (kafka("SSL", SASL_USERNAME="u"), "SASL_USERNAME"),
        (kafka("SSL", SASL_MECHANISM="PLAIN"), "SASL_MECHANISM"),
        (kafka("PLAINTEXT", TOKEN_FILE=TOKEN), "TOKEN_FILE"),
        (kafka("PLAINTEXT", SSL_CAFILE=str(CERTIFICATE)), "SSL_CAFILE"),
        (kafka("SASL_PLAINTEXT", **LOGIN, **IDENTITY), "SSL_CERTIFICATE SSL_KEY"),
        (kafka("SSL", SSL_CERTIFICATE=str(CERTIFICATE)), "SSL_CERTIFICATE"),  # and no key
        (kafka("SSL", SSL_KEY=IDENTITY["SSL_KEY"]), "SSL_KEY"),
        (kafka("SSL", SSL_KEY_PASSWORD="hunter2"), "SSL_KEY_PASSWORD"),
        (kafka("SSL", **IDENTITY | {"SSL_KEY": "/nowhere/key.pem"}), "SSL_KEY"),
        (kafka("SSL", **IDENTITY | {"SSL_KEY": __file__}), "SSL_CERTIFICATE"),
        (kafka("SASL_SSL", **TOKENS), "TOKEN_FILE"),
        (kafka("SASL_SSL", **TOKENS, TOKEN_FILE=TOKEN, TOKEN_COMMAND="true"), "TOKEN_FILE"),
        (kafka("SASL_SSL", **TOKENS, TOKEN_FILE="/nowhere/token"), "TOKEN_FILE"),
        (kafka("SASL_SSL", **TOKENS, TOKEN_COMMAND="/nowhere/get-token"), "TOKEN_COMMAND"),
        (kafka("SASL_SSL", **TOKENS, TOKEN_COMMAND="sh -c 'echo"), "TOKEN_COMMAND"),
        (kafka("SASL_SSL", **LOGIN | TOKENS, TOKEN_FILE=TOKEN), "SASL_USERNAME SASL_PASSWORD"),
        (kafka("SASL_SSL", **LOGIN, TOKEN_FILE=TOKEN), "TOKEN_FILE"),
    ],
)
def test_what_does_not_go_together_for_kafka(given: dict[str, Any], names: str) -> None:
    told = faults(**given)
    assert [fault.split(":")[0] for fault in told] == [
        f"ORDERS_KAFKA_{name}" for name in names.split()
    ]
    assert "hunter2" not in "".join(told)


def test_an_empty_value_counts_as_unset() -> None:
    assert settings(REDIS_URL="", HTTP_PORT="").http_port == 8080


def test_a_value_from_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "dsn"
    secret.write_text(DSN + "\n")
    assert settings(POSTGRES_DSN_FILE=str(secret)).postgres_dsn == DSN
    assert "both" in faults(POSTGRES_DSN=DSN, POSTGRES_DSN_FILE=str(secret))[0]
    (fault,) = faults(POSTGRES_DSN_FILE=str(tmp_path / "none"))
    assert fault.endswith("names a file that cannot be read (No such file or directory)")
    (fault,) = faults(POSTGRES_DSN_FILE=str(tmp_path))
    assert fault.endswith("names a file that cannot be read (Is a directory)")
    secret.write_bytes(b"\xff")
    assert faults(POSTGRES_DSN_FILE=str(secret))[0].endswith(
        "names a file that is not text in UTF-8"
    )


def test_a_dotenv_file_fills_in_what_the_environment_does_not_set(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text('ORDERS_HTTP_PORT=81\nORDERS_KAFKA_TOPIC="t"\nORDERS_POSTGRES_DSN=host=a\n')
    secret = tmp_path / "dsn"
    secret.write_text("host=b")
    read = settings(dotenv=dotenv, HTTP_PORT="82", POSTGRES_DSN_FILE=str(secret))
    assert (read.http_port, read.kafka_topic, read.postgres_dsn) == (82, "t", "host=b")


def test_secrets_are_hidden_when_shown_and_in_a_repr() -> None:
    read = settings(
        POSTGRES_DSN=DSN,
        REDIS_URL="redis://:hunter2@h",
        **kafka("SASL_SSL", **LOGIN, **IDENTITY, SSL_KEY_PASSWORD="hunter2"),
    )
    assert "hunter2" not in str(shown(read)) + repr(read) + str(read)
    read = settings(**kafka("SASL_SSL", **TOKENS, TOKEN_COMMAND="echo hunter2"))
    assert "hunter2" not in str(shown(read)) + repr(read) + str(read)
    assert shown(read)["ORDERS_HTTP_PORT"] == "8080"
    assert shown(read)["ORDERS_KAFKA_BOOTSTRAP"] is None


def test_a_misspelt_name_is_noticed() -> None:
    environment = {"ORDERS_HTTP_PROT": "1", "ORDERS_HTTP_PORT_FILE": "x", "ORDERS_TEST_X": "1"}
    assert unknown(environment, dotenv=None) == ["ORDERS_HTTP_PROT"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("ORDERS_KAFKA_TOPIC=заказы\n".encode("cp1251"), "UTF-8"),
        ("ORDERS_HTTP_PORT=81\n".encode("utf-16"), "UTF-8"),
        ("ORDERS_HTTP_PORT=81\n".encode("utf-16-le"), "UTF-8"),
        (b"# ok\nORDERS_HTTP_PORT 81\n", "line 2 is not NAME=value"),
    ],
)
def test_a_dotenv_file_that_cannot_be_read_is_named(
    tmp_path: Path, content: bytes, says: str
) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load({}, dotenv=dotenv)
    (fault,) = caught.value.faults
    assert str(dotenv) in fault
    assert says in fault
    assert unknown({"ORDERS_HTTP_PROT": "1"}, dotenv=dotenv) == ["ORDERS_HTTP_PROT"]


def test_a_mark_of_the_byte_order_is_no_part_of_a_name(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("ORDERS_HTTP_PORT=81\n", "utf-8-sig")
    assert settings(dotenv=dotenv).http_port == 81


@pytest.mark.parametrize(
    ("name", "value", "visible"),
    [
        ("POSTGRES_DSN", DSN, "db orders u"),
        (
            "POSTGRES_DSN",
            "host=db dbname=orders user=u password=hunter2 sslmode=require",
            "require",
        ),
        ("POSTGRES_DSN", "postgresql://db/orders?password=hunter2", "db orders"),
        ("REDIS_URL", "redis://u:hunter2@cache:6380/3", "redis://u: @cache:6380/3"),
        ("REDIS_URL", "redis://:hunter2@cache", "@cache"),
        ("REDIS_URL", "redis://cache/3?password=hunter2&client_name=me", "cache/3 client_name=me"),
        ("REDIS_URL", "redis+cluster://u:hunter2@a:1,b:2", "a:1,b:2"),
        ("REDIS_URL", "redis://hunter2@cache:1/3", "redis:// @cache:1/3"),
        ("REDIS_URL", "rediss+cluster://hunter2@a:1,b:2", "rediss+cluster:// @a:1,b:2"),
        (
            "REDIS_URL",
            "redis+sentinel://u:hunter2@a,b/s/1?sentinel_username=v&sentinel_password=hunter2",
            "u: @a,b/s/1 sentinel_username=v",
        ),
    ],
)
def test_host_and_database_are_shown_and_the_password_is_not(
    name: str, value: str, visible: str
) -> None:
    text = shown(load({f"ORDERS_{name}": value}, dotenv=None))[f"ORDERS_{name}"] or ""
    assert "hunter2" not in text
    assert "********" in text
    assert all(part in text for part in visible.split())


def test_the_bound_on_the_topic_of_dead_letters_leaves_room_for_that_of_replays() -> None:
    kafka = to_kafka_settings(settings(KAFKA_BOOTSTRAP="h:1"))
    assert kafka.replays_topic == kafka.dlq_topic + REPLAYS


def test_tracing_needs_its_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings(TRACING="true").tracing
    monkeypatch.setitem(sys.modules, "opentelemetry", None)  # as if they were not installed
    for name in [name for name in sys.modules if name.startswith("opentelemetry.")]:
        monkeypatch.delitem(sys.modules, name)
    assert faults(TRACING="true") == (
        "ORDERS_TRACING: needs packages that are missing: install orders[tracing]",
    )
    assert not settings().tracing


JWT: dict[str, Any] = {
    "HTTP_AUTH": "jwt",
    "HTTP_JWT_ISSUER": "https://i",
    "HTTP_JWT_AUDIENCE": "orders",
}


@pytest.mark.parametrize(
    "source",
    [
        "https://login.example/jwks",
        "https://login.example:8443/a/b?c=d",
        "http://127.0.0.1:8000/jwks",
        "http://[::1]/jwks",
        "http://localhost/jwks",
        str(CERTIFICATE),
    ],
)
def test_sources_of_signing_keys(source: str) -> None:
    assert settings(**JWT, HTTP_JWT_JWKS=source).http_jwt_jwks == source


@pytest.mark.parametrize(
    "source",
    [
        "http://login.example/jwks",
        "http://127.0.0.1.evil.example/jwks",
        "http://localhost@evil.example/jwks",
        "https://user:hunter2@login.example/jwks",
        "https:///jwks",
        "https://",
        "ftp://127.0.0.1/jwks",
        "file:///etc/passwd",
        "/nowhere/jwks.json",
    ],
)
def test_sources_that_are_refused(source: str) -> None:
    (fault,) = faults(**JWT, HTTP_JWT_JWKS=source)
    assert fault.startswith("ORDERS_HTTP_JWT_JWKS: ")
    assert "hunter2" not in fault


def test_the_secret_of_sessions_is_hidden() -> None:
    secret = "hunter2" * 8
    assert secret not in str(shown(settings(HTTP_SESSION_SECRET=secret)))


def test_everything_that_a_way_of_access_needs_is_named() -> None:
    assert [fault.partition(":")[0] for fault in faults(HTTP_AUTH="jwt")] == [
        "ORDERS_HTTP_JWT_ISSUER",
        "ORDERS_HTTP_JWT_AUDIENCE",
        "ORDERS_HTTP_JWT_JWKS",
    ]
