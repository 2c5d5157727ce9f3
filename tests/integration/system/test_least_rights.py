"""The users and rights in deploy/ are enough for every process, and no more than it needs."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest
import redis
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)
from psycopg.conninfo import make_conninfo

from orders.adapters.kafka.client.producer import KafkaProducerClient, Outgoing
from orders.adapters.kafka.client.topics import TopicAdmin
from orders.adapters.kafka.inspection import KafkaInspection
from orders.adapters.kafka.message_source import KafkaMessageSource
from orders.bootstrap import to_kafka_settings
from orders.config import Settings, load
from orders.domain.errors import Misconfigured
from tests.builders import order_bytes
from tests.integration.kafka.sasl_broker import SaslBroker
from tests.integration.opened import opened
from tests.integration.redis.own_server import OwnServer
from tests.integration.system.processes import ROOT, SOURCES, System, free_port, system
from tests.waiting import says, until, wait_until

DEPLOY = ROOT / "deploy"
PASSWORD = "hunter2"
USERS = ("orders-api", "orders-consumer", "orders-operator", "orders-eraser")
TABLES = ("orders", "delivery", "payments", "items", "schema_migrations")
_OPERATIONS = {
    "DescribeConfigs": AclOperation.DESCRIBE_CONFIGS,
    **{
        name.title(): AclOperation[name]
        for name in ("READ", "WRITE", "CREATE", "DELETE", "DESCRIBE")
    },
}


def documented_acls(folder: Path) -> list[AclBinding]:
    """What deploy/kafka/acls.sh asks the tool of Apache Kafka for, which is not available here."""
    asked = folder / "asked"
    tool = folder / "kafka-acls.sh"
    tool.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >>{asked}\n')
    tool.chmod(0o755)
    subprocess.run(
        ["sh", DEPLOY / "kafka" / "acls.sh", "broker:9092", "--command-config", "admin.properties"],
        env=os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"},
        check=True,
    )
    found = []
    for line in asked.read_text().splitlines():
        words = line.split()
        assert words[:5] == [
            *("--bootstrap-server", "broker:9092", "--command-config", "admin.properties", "--add")
        ]
        given = dict(zip(words[5::2], words[6::2], strict=True))
        kind = "--topic" if "--topic" in given else "--group"
        found.append(
            AclBinding(
                ResourceType.TOPIC if kind == "--topic" else ResourceType.GROUP,
                given[kind],
                ResourcePatternType.LITERAL,
                given["--allow-principal"],
                "*",
                _OPERATIONS[given["--operation"]],
                AclPermissionType.ALLOW,
            )
        )
    return found


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SaslBroker]:
    folder = tmp_path_factory.mktemp("least")
    broker = SaslBroker(folder / "kafka", dict.fromkeys(USERS, PASSWORD), has_acls=True)
    broker.start()
    try:
        settings = Settings(kafka_bootstrap=broker.bootstrap, kafka_partitions=1)
        TopicAdmin(to_kafka_settings(settings)).ensure()
        admin = AdminClient({"bootstrap.servers": broker.bootstrap})
        for future in admin.create_acls(documented_acls(folder)).values():
            future.result(20)
        yield broker
    finally:
        broker.stop()


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnServer]:
    folder = tmp_path_factory.mktemp("cache")
    text = (DEPLOY / "redis" / "users.acl").read_text()
    (folder / "users.acl").write_text(text.replace("change-me", PASSWORD))
    server = AclServer(folder, "--aclfile", "users.acl")
    server.start()
    yield server
    server.kill()


class AclServer(OwnServer):
    """Has only the users of its file."""

    def client(self) -> "redis.Redis":
        return redis.Redis(
            port=self.port, username="orders-api", password=PASSWORD, socket_timeout=2.0
        )

    def url_of(self, user: str) -> str:
        return self.url.replace("://", f"://{user}:{PASSWORD}@")


class Roles(NamedTuple):
    """DSNs by role, and the script that made them under names of this test's own."""

    owner: str
    consumer: str
    api: str
    eraser: str
    script: str


@contextmanager
def roles_in(dsn: str, creator: str | None = None) -> Iterator[Roles]:
    """The roles of deploy/postgres/roles.sql, which ``creator`` makes, else who ``dsn`` names."""
    script = (DEPLOY / "postgres" / "roles.sql").read_text()
    unique = uuid.uuid4().hex[:8]
    roles = ("orders_owner", "orders_consumer", "orders_api", "orders_eraser")
    names = {name: f"{name}_{unique}" for name in roles}
    for name, own in names.items():
        script = script.replace(name, own)
    with psycopg.connect(dsn, autocommit=True) as admin:
        with psycopg.connect(creator or dsn, autocommit=True) as runs:
            runs.execute(script.encode())
        for own in names.values():
            admin.execute(f"ALTER ROLE {own} PASSWORD '{PASSWORD}'".encode())
        try:
            dsns = (make_conninfo(dsn, user=own, password=PASSWORD) for own in names.values())
            owner, consumer, api, eraser = dsns
            yield Roles(owner, consumer, api, eraser, script)
        finally:
            for own in names.values():
                admin.execute(f"DROP OWNED BY {own} CASCADE".encode())
                admin.execute(f"DROP ROLE {own}".encode())


@pytest.fixture
def roles(empty_database_dsn: str) -> Iterator[Roles]:
    with roles_in(empty_database_dsn) as made:
        run({"ORDERS_POSTGRES_DSN": made.owner}, "migrate")
        with psycopg.connect(empty_database_dsn, autocommit=True) as admin:
            admin.execute(made.script.encode())
        yield made


def run(environment: dict[str, str], *words: str) -> str:
    """What a command prints; it must end with 0."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("ORDERS_")}
    ended = subprocess.run(
        [sys.executable, "-m", "orders", *words],
        env=inherited | {"PYTHONPATH": SOURCES, "ORDERS_LOG_FORMAT": "json"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def login(broker: SaslBroker, user: str) -> dict[str, str]:
    return {
        "ORDERS_KAFKA_BOOTSTRAP": broker.sasl,
        "ORDERS_KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "ORDERS_KAFKA_SASL_MECHANISM": "PLAIN",
        "ORDERS_KAFKA_SASL_USERNAME": user,
        "ORDERS_KAFKA_SASL_PASSWORD": PASSWORD,
    }


def client(broker: SaslBroker, user: str) -> dict[str, str | int | float | bool]:
    """The same for the other client."""
    return {
        "bootstrap.servers": broker.sasl,
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "PLAIN",
        "sasl.username": user,
        "sasl.password": PASSWORD,
    }


@pytest.fixture
def running(roles: Roles, cache: AclServer, broker: SaslBroker, tmp_path: Path) -> Iterator[System]:
    common = {
        "ORDERS_KAFKA_BOOTSTRAP": broker.bootstrap,  # of the test
        "ORDERS_KAFKA_TOPIC": "orders",
        "ORDERS_KAFKA_DLQ_TOPIC": "orders.dlq",
        "ORDERS_KAFKA_GROUP": "orders-group",
        "ORDERS_HTTP_PORT": str(free_port()),
        "ORDERS_CONSUMER_HEALTH_PORT": str(free_port()),
        "ORDERS_LOG_FORMAT": "json",
    }
    with system(common, tmp_path) as made:
        for process, dsn in (("api", roles.api), ("consumer", roles.consumer)):
            user = f"orders-{process}"
            made.start(
                process,
                ORDERS_POSTGRES_DSN=dsn,
                ORDERS_REDIS_URL=cache.url_of(user),
                **login(broker, user),
            )
        yield made


def _states(answer: Any) -> dict[str, str]:
    return {name: part["state"] for name, part in answer.json()["parts"].items()}


def test_all_of_it_works_with_the_least_rights(
    running: System, roles: Roles, cache: AclServer, broker: SaslBroker
) -> None:
    def all_up() -> bool:
        return set(_states(running.wait_for_api()).values()) == {"up"}

    wait_until(all_up, 30, "all parts are up", lambda: running.log("api"))
    assert running.http.post("/orders", content=order_bytes("posted")).status_code == 202
    running.order("posted")
    other = order_bytes("posted").replace(b"WBILMTESTTRACK", b"ANOTHER")
    running.send(b"not an order", other)
    running.dead_letters(2)

    operator = login(broker, "orders-operator")
    assert "conflict" in run(operator, "dlq", "list")
    assert "sent 1 dead letter" in run(operator, "dlq", "replay", "--code", "conflict")
    running.dead_letters(3)
    assert '"attempt":2' in run(operator, "dlq", "list", "--json").replace(" ", "")
    more = {
        "ORDERS_POSTGRES_DSN": roles.consumer,
        "ORDERS_REDIS_URL": cache.url_of("orders-consumer"),
    }
    found = json.loads(run(operator | more, "doctor", "--json"))["findings"]
    told = [f for f in found if f["state"] != "ok" and "one replica" not in f["text"]]
    assert [f["what"] for f in told] == ["waiting"]
    delete = ("dlq", "delete", "--before", "0d", "--include-waiting")
    with pytest.raises(AssertionError, match=r"no right to topic orders\.dlq"):
        run(operator, *delete)
    assert "deleted 3 records" in run(login(broker, "orders-eraser"), *delete)
    run(login(broker, "orders-api"), "generate", "3")
    order = str(ROOT / "tests" / "data" / "order.json")
    run(login(broker, "orders-api"), "import", order)
    run({"ORDERS_POSTGRES_DSN": roles.consumer}, "import", "--direct", order)
    assert "b563feb7b2b84b6test" in run({"ORDERS_POSTGRES_DSN": roles.api}, "export")
    run(more | {"ORDERS_POSTGRES_DSN": roles.eraser}, "forget", "posted")
    wait_until(
        lambda: running.http.get("/orders/posted").status_code == 404, 5, "the API has dropped it"
    )
    for process in ("api", "consumer"):
        assert running.stop(process) == 0
        lines = [json.loads(line) for line in running.log(process).splitlines()]
        events = {line["event"] for line in lines if line["level"] not in {"info", "debug"}}
        assert events <= {"dead letter"}


@pytest.mark.parametrize(
    ("role", "rights"),
    [("api", set()), ("consumer", {"INSERT"}), ("eraser", {"INSERT", "UPDATE", "DELETE"})],
)
def test_no_role_of_postgresql_may_do_more(roles: Roles, role: str, rights: set[str]) -> None:
    with psycopg.connect(getattr(roles, role), autocommit=True) as connection:
        for table in TABLES:
            for right in ("INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"):
                may = right in rights and table != "schema_migrations"
                asked = "SELECT has_table_privilege(%s, %s)"
                if right in {"INSERT", "UPDATE", "REFERENCES"}:
                    asked = "SELECT has_any_column_privilege(%s, %s)"
                assert connection.execute(asked, [table, right]).fetchone() == (may,), (
                    table,
                    right,
                )
        for statement in ("CREATE TABLE t (a int)", "CREATE TEMPORARY TABLE t (a int)"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())


def test_tables_of_later_migrations_get_their_rights(roles: Roles) -> None:
    with psycopg.connect(roles.owner, autocommit=True) as owner:
        owner.execute(b"CREATE TABLE later (a int)")
    for dsn, right in (
        (roles.api, "SELECT"),
        (roles.consumer, "SELECT, INSERT"),
        (roles.eraser, "SELECT, INSERT, UPDATE, DELETE"),
    ):
        with psycopg.connect(dsn) as connection:
            for each in right.split(", "):
                asked = "SELECT has_table_privilege('later', %s)"
                assert connection.execute(asked, [each]).fetchone() == (True,)


def test_a_database_from_before_the_roles_gets_them(database_dsn: str) -> None:
    with roles_in(database_dsn) as made:
        assert "up to date" in run({"ORDERS_POSTGRES_DSN": made.owner}, "migrate")
        with psycopg.connect(made.owner) as owner:
            owner.execute(b"ALTER TABLE orders ADD COLUMN later text")  # as a migration may


def test_the_owner_of_a_database_can_make_the_roles(database_dsn: str) -> None:
    name = f"creator_{uuid.uuid4().hex[:8]}"
    creator = make_conninfo(database_dsn, user=name, password=PASSWORD)
    with psycopg.connect(database_dsn, autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {name} LOGIN CREATEROLE PASSWORD '{PASSWORD}'".encode())
        admin.execute(f"ALTER DATABASE {admin.info.dbname} OWNER TO {name}".encode())
        for table in TABLES:
            admin.execute(f"ALTER TABLE {table} OWNER TO {name}".encode())
        try:
            with roles_in(database_dsn, creator) as made:
                assert "up to date" in run({"ORDERS_POSTGRES_DSN": made.owner}, "migrate")
                with psycopg.connect(creator, autocommit=True) as again:
                    again.execute(made.script.encode())
        finally:
            admin.execute(f"REASSIGN OWNED BY {name} TO CURRENT_USER".encode())
            admin.execute(f"DROP OWNED BY {name}".encode())
            admin.execute(f"DROP ROLE {name}".encode())


def allowed(attempt: Callable[[], object]) -> bool:
    """Whether the brokers let it be done."""
    try:
        attempt()
    except KafkaException as error:
        if "AUTHORIZATION_FAILED" in error.args[0].name():
            return False
        raise
    return True


def write(broker: SaslBroker, user: str, topic: str) -> None:
    producer = Producer(client(broker, user))
    failed: list[Any] = []
    producer.produce(topic, b"[]", on_delivery=lambda error, _message: failed.append(error))
    assert producer.flush(20) == 0
    if failed[0] is not None:
        raise KafkaException(failed[0])


def read(broker: SaslBroker, user: str, topic: str) -> None:
    settings = {"group.id": "orders-group", "auto.offset.reset": "earliest"}
    consumer = Consumer(client(broker, user) | settings)
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        wait_until(lambda: _read(consumer), 20, "the broker answers")
    finally:
        consumer.close()


def _read(consumer: Consumer) -> bool:
    message = consumer.poll(0.5)
    if message is not None and message.error():
        raise KafkaException(message.error())
    return message is not None


@pytest.mark.parametrize(
    ("user", "may_write", "may_read"),
    [
        ("orders-api", {"orders"}, set()),
        ("orders-consumer", {"orders.dlq"}, {"orders"}),
        ("orders-operator", {"orders"}, {"orders.dlq"}),
        ("orders-eraser", set(), set()),  # it has no right to a group, which this client asks for
    ],
)
def test_no_user_of_kafka_may_do_more(
    broker: SaslBroker, user: str, may_write: set[str], may_read: set[str]
) -> None:
    topics = ("orders", "orders.dlq")
    setup = Producer({"bootstrap.servers": broker.bootstrap})
    for topic in topics:  # something to read
        setup.produce(topic, b"[]")
    assert setup.flush(20) == 0
    assert {t for t in topics if allowed(partial(write, broker, user, t))} == may_write
    assert {t for t in topics if allowed(partial(read, broker, user, t))} == may_read
    admin = AdminClient(client(broker, user))
    (made,) = admin.create_topics([NewTopic("another", 1, 1)]).values()
    assert not allowed(lambda: made.result(20))
    (deleted,) = admin.delete_topics(["orders"]).values()
    assert not allowed(lambda: deleted.result(20))


async def test_doctor_and_health_name_the_right_that_is_missing(broker: SaslBroker) -> None:
    settings = to_kafka_settings(load(login(broker, "orders-api"), dotenv=None))
    found = [f.text for f in await KafkaInspection(settings).inspect() if f.what == "denied"]
    assert found == [
        f"the brokers deny this user {right}"
        for right in ("DESCRIBE on topic orders.dlq", "DESCRIBE on group orders-group")
    ]
    source = KafkaMessageSource(settings)
    async with opened(source):
        await until(lambda: says(source, "the user has no right to topic orders.dlq"))


@pytest.mark.parametrize(
    ("user", "operation", "reason"),
    [
        ("orders-api", AclOperation.WRITE, "topic orders"),
        ("orders-consumer", AclOperation.WRITE, "topic orders.dlq"),
        ("orders-consumer", AclOperation.READ, "topic orders"),
        ("orders-consumer", AclOperation.READ, "the group"),
    ],
)
async def test_no_right_can_be_spared(
    broker: SaslBroker, tmp_path: Path, user: str, operation: AclOperation, reason: str
) -> None:
    kind = ResourceType.GROUP if reason == "the group" else ResourceType.TOPIC
    (taken,) = [
        acl
        for acl in documented_acls(tmp_path)
        if (acl.principal, acl.operation, acl.restype) == (f"User:{user}", operation, kind)
    ]
    settings = to_kafka_settings(load(login(broker, user), dotenv=None))
    with without(broker, taken):
        if user == "orders-api":
            producer = KafkaProducerClient(settings, ensures="source")
            async with opened(producer):
                await until(lambda: says(producer, f"the user has no right to {reason}"))
                with pytest.raises(Misconfigured, match=f"the user has no right to {reason}"):
                    await producer.send("orders", [Outgoing(b"{}", b"k")])
        else:
            source = KafkaMessageSource(settings)
            async with opened(source):
                await until(lambda: says(source, f"the user has no right to {reason}"))


async def test_a_right_that_is_taken_away_is_no_outage(broker: SaslBroker, tmp_path: Path) -> None:
    (taken,) = [
        acl
        for acl in documented_acls(tmp_path)
        if (acl.principal, acl.operation) == ("User:orders-api", AclOperation.WRITE)
    ]
    producer = KafkaProducerClient(
        to_kafka_settings(load(login(broker, "orders-api"), dotenv=None)), ensures="source"
    )
    async with opened(producer):
        await producer.send("orders", [Outgoing(b"{}", b"k")])
        with without(broker, taken):
            with pytest.raises(Misconfigured, match="the user has no right to topic orders"):
                await producer.send("orders", [Outgoing(b"{}", b"k")])
            await until(lambda: says(producer, "the user has no right to topic orders"))
        await producer.send("orders", [Outgoing(b"{}", b"k")])


@contextmanager
def without(broker: SaslBroker, acl: AclBinding) -> Iterator[None]:
    """Take a right away, and give it back."""
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    names = ("restype", "name", "resource_pattern_type", "principal", "host")
    parts = [getattr(acl, name) for name in (*names, "operation", "permission_type")]
    (deleted,) = admin.delete_acls([AclBindingFilter(*parts)]).values()
    assert len(deleted.result(20)) == 1
    try:
        yield
    finally:
        (made,) = admin.create_acls([acl]).values()
        made.result(20)


@pytest.mark.parametrize(
    ("user", "words"),
    [
        ("orders-api", "GET other"),
        ("orders-api", "HGET {other}:documents a"),
        ("orders-api", "FLUSHALL"),
        ("orders-api", "CONFIG GET *"),
        ("orders-api", "KEYS *"),
        ("orders-consumer", "SET {orders}:documents a"),
        ("orders-consumer", "PUBLISH a b"),
    ],
)
def test_no_user_of_redis_may_do_more(cache: AclServer, user: str, words: str) -> None:
    denied = pytest.raises(redis.exceptions.NoPermissionError)
    with redis.Redis.from_url(cache.url_of(user)) as connection, denied:
        connection.execute_command(*words.split())


def test_nobody_comes_into_redis_without_a_login(cache: AclServer) -> None:
    with redis.Redis.from_url(cache.url) as client, pytest.raises(redis.AuthenticationError):
        client.ping()
