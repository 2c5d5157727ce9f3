"""The order in which tests choose their servers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.integration.servers import docker_engine
from tests.integration.servers.choice import VARIABLES, Choice, Engine, Source, choose, header

ANSWERS = Engine(answers=True, detail="a Docker engine answers")
SILENT = Engine(answers=False, detail="no Docker engine answers")


def never() -> Engine:
    raise AssertionError("the engine was asked for nothing")


@given(
    given_servers=st.sets(st.sampled_from(sorted(VARIABLES))),
    blank_servers=st.sets(st.sampled_from(sorted(VARIABLES))),
    engine=st.sampled_from([ANSWERS, SILENT]),
)
def test_given_goes_before_docker_before_embedded_each_server_alone(
    given_servers: set[str], blank_servers: set[str], engine: Engine
) -> None:
    environment = {VARIABLES[server]: "  " for server in blank_servers}
    environment |= {VARIABLES[server]: f" at-{server} " for server in given_servers}
    choices = choose(environment, lambda: engine)

    assert list(choices) == list(VARIABLES)
    for server, choice in choices.items():
        if server in given_servers:
            assert choice == Choice(Source.GIVEN, VARIABLES[server], f"at-{server}")
        elif engine.answers:
            assert choice == Choice(Source.DOCKER, engine.detail)
        else:
            here = Source.MISSING if server == "citus" else Source.EMBEDDED
            assert choice == Choice(here, engine.detail)


def test_the_engine_is_not_asked_where_all_is_given() -> None:
    environment = dict.fromkeys(VARIABLES.values(), "somewhere")
    assert {c.source for c in choose(environment, never).values()} == {Source.GIVEN}


def test_the_embedded_servers_can_be_forced_where_an_engine_answers_but_cannot_serve() -> None:
    environment = {"ORDERS_TEST_SERVERS": "embedded", VARIABLES["redis"]: "here"}
    choices = choose(environment, never)
    assert choices["redis"].source is Source.GIVEN
    embedded = Choice(Source.EMBEDDED, "ORDERS_TEST_SERVERS")
    assert choices["postgres"] == choices["kafka"] == embedded


def test_a_misspelt_wish_is_not_ignored() -> None:
    with pytest.raises(ValueError, match="must be embedded"):
        choose({"ORDERS_TEST_SERVERS": "embeded"}, never)


def test_the_engine_is_asked_once() -> None:
    asked: list[int] = []

    def ask() -> Engine:
        asked.append(1)
        return SILENT

    choose({}, ask)
    assert len(asked) == 1


def test_the_header_says_source_and_reason_but_no_address() -> None:
    environment = {VARIABLES["postgres"]: "postgresql://u:secret@host/db"}
    lines = header(choose(environment, lambda: SILENT))
    assert lines == [
        "postgres: given (ORDERS_TEST_POSTGRES_DSN)",
        "redis: embedded (no Docker engine answers)",
        "kafka: embedded (no Docker engine answers)",
        "citus: missing, its tests are skipped (no Docker engine answers)",
    ]


def test_a_client_without_an_engine_is_no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    engine = docker_engine.ask_engine()
    assert not engine.answers
    assert engine.detail.startswith("no Docker engine answers")


@pytest.mark.parametrize(("host", "shown"), [("localhost", "localhost"), ("fe80::1", "[fe80::1]")])
def test_addresses_of_containers(host: str, shown: str) -> None:
    assert docker_engine.postgres_dsn(host, 1234) == (
        f"postgresql://orders:orders@{shown}:1234/orders"
    )
    assert docker_engine.redis_url(host, 1234) == f"redis://{shown}:1234/0"
    environment = docker_engine.kafka_environment(host, 1234)
    assert environment["KAFKA_ADVERTISED_LISTENERS"] == f"PLAINTEXT://{shown}:1234"
    assert environment["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
