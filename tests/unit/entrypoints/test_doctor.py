"""`orders doctor`, on parts that a test makes up."""

import json
from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner, Result
from dependency_injector import providers

from orders.adapters.memory.inspection import MemoryInspection
from orders.bootstrap import Container
from orders.domain.ports import Finding
from orders.entrypoints.cli.main import main

ENVIRONMENT = {
    "ORDERS_POSTGRES_DSN": "postgresql://u:hunter2@127.0.0.1:1/d",
    "ORDERS_KAFKA_BOOTSTRAP": "127.0.0.1:1",
}
Run = Callable[..., Result]


@pytest.fixture
def finds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> Iterator[Callable[[list[Finding]], None]]:
    """Has the only part of every container find this."""
    monkeypatch.chdir(str(tmp_path))

    def use(findings: list[Finding]) -> None:
        Container.inspected.override(
            providers.Dict(thing=providers.Object(MemoryInspection("thing", findings)))
        )

    yield use
    Container.inspected.reset_override()


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(main, ["doctor", *arguments], env=ENVIRONMENT | environment)


def test_all_well(finds: Callable[[list[Finding]], None]) -> None:
    finds([Finding("thing", "size", "warning", "rather big", "think about it")])
    ended = run()
    assert ended.exit_code == 0
    lines = ended.stdout.splitlines()
    assert len(lines) == 3
    assert [line.split()[:2] for line in lines] == [["✓", "ok"], ["✓", "ok"], ["!", "warning"]]
    assert lines[2].endswith("rather big → think about it")


def test_a_database_on_which_no_process_starts(finds: Callable[[list[Finding]], None]) -> None:
    finds([Finding("thing", "encoding", "problem", "LATIN1", "another one", is_refused=True)])
    assert run().exit_code == 2


def test_a_problem(finds: Callable[[list[Finding]], None]) -> None:
    text = "[bold]too[/] big " * 30
    finds([Finding("thing", "size", "problem", text, "shrink it")])
    ended = run()
    assert ended.exit_code == 1
    (line,) = [line for line in ended.stdout.splitlines() if line.startswith("✗ problem")]
    assert line.endswith(f"{text} → shrink it"), "whole, on one line, and no markup"


@pytest.mark.parametrize("state", ["ok", "problem"])
def test_json(finds: Callable[[list[Finding]], None], state: str) -> None:
    finds([Finding("thing", "size", state, "Größe", "tu was")])  # type: ignore[arg-type]
    ended = run("--json")
    assert ended.exit_code == (1 if state == "problem" else 0)
    found = json.loads(ended.stdout)
    assert found["state"] == state
    last = found["findings"][-1]
    assert last == {
        "part": "thing", "what": "size", "state": state, "text": "Größe", "advice": "tu was"
    }  # fmt: skip


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_a_wrong_configuration_is_told_whole(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.chdir(str(tmp_path))
    ended = run(
        *arguments,
        ORDERS_KAFKA_BOOTSTRAP="",
        ORDERS_HTTP_PORT="hunter2",
        ORDERS_HTTP_PROT="hunter2",
    )
    assert ended.exit_code == 2
    for shown in (
        "ORDERS_KAFKA_BOOTSTRAP",
        "is required",
        "ORDERS_HTTP_PORT",
        "must be a port",
        "ORDERS_HTTP_PROT",
        "no such setting",
    ):
        assert shown in ended.stdout
    assert "hunter2" not in ended.output
    if arguments:
        assert json.loads(ended.stdout)["state"] == "problem"


@pytest.mark.parametrize(
    "redis",
    [
        "redis://u:hunter2@127.0.0.1:1",
        "redis://hunter2@127.0.0.1:1",
        "rediss+cluster://u:hunter2@127.0.0.1:1,127.0.0.1:2",
        "redis+sentinel://u:hunter2@127.0.0.1:1/s?sentinel_password=hunter2",
    ],
)
def test_nothing_is_there(monkeypatch: pytest.MonkeyPatch, tmp_path: object, redis: str) -> None:
    """The real parts, and nobody answers: said at once, and without secrets."""
    monkeypatch.chdir(str(tmp_path))
    ended = run("--json", ORDERS_REDIS_URL=redis)
    assert ended.exit_code == 1
    findings = json.loads(ended.stdout)["findings"]
    reachable = {f["part"]: f for f in findings if f["what"] == "reachable"}
    assert set(reachable) == {"postgres", "redis", "kafka"}
    assert {f["state"] for f in reachable.values()} == {"problem"}
    assert "nothing listens on 127.0.0.1:1" in reachable["postgres"]["text"]
    assert "nothing listens on 127.0.0.1:1" in reachable["kafka"]["text"]
    assert "hunter2" not in ended.output
