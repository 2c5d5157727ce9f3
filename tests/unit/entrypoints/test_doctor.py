"""`orders doctor`, on parts that a test makes up."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.x509 import load_pem_x509_certificate
from dependency_injector import providers

from orders.adapters.memory.inspection import MemoryInspection
from orders.bootstrap import Container
from orders.domain.ports import Finding
from orders.entrypoints.cli.main import main
from tests.unit.http.access.access_harness import new_key

ENVIRONMENT = {
    "ORDERS_POSTGRES_DSN": "postgresql://u:hunter2@127.0.0.1:1/d",
    "ORDERS_KAFKA_BOOTSTRAP": "127.0.0.1:1",
}
TLS = Path(__file__).parents[2] / "data" / "tls"
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
    assert len(lines) == 4
    assert [line.split()[:2] for line in lines] == [["✓", "ok"]] * 3 + [["!", "warning"]]
    assert lines[3].endswith("rather big → think about it")


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


def lines_about_access(**environment: str) -> list[str]:
    found = json.loads(run("--json", **environment).stdout)["findings"]
    return [
        f"{each['state']} {each['text']}" for each in found if each["what"] in {"access", "tls"}
    ]


def local_cache_line(**environment: str) -> str:
    found = json.loads(run("--json", **environment).stdout)["findings"]
    (line,) = [each for each in found if each["what"] == "local cache"]
    return f"{line['state']} {line['text']} {line.get('advice')}"


def test_the_size_of_the_local_cache(
    finds: Callable[[list[Finding]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    finds([])
    memory = 512 * 2**20
    for module in ("orders.config", "orders.entrypoints.cli.doctor"):
        monkeypatch.setattr(f"{module}.usable_memory", lambda: memory)
    assert local_cache_line().startswith("ok up to 64 MiB in each API worker (1); the API may use")
    assert "512 MiB" in local_cache_line()
    assert local_cache_line(ORDERS_HTTP_WORKERS="2").startswith("ok")
    crowded = local_cache_line(ORDERS_HTTP_WORKERS="4")
    assert crowded.startswith("warning up to 64 MiB in each API worker (4)")
    assert "set ORDERS_CACHE_LOCAL_BYTES" in crowded
    assert local_cache_line(ORDERS_CACHE_LOCAL_BYTES=str(400 * 2**20)).startswith("warning")
    memory = 128 * 2**20
    assert local_cache_line().startswith("warning")
    assert local_cache_line(ORDERS_CACHE_LOCAL_BYTES="0").startswith("warning")
    memory = 8 * 2**30
    assert local_cache_line(ORDERS_HTTP_WORKERS="4").startswith("ok up to 256 MiB")


def test_an_open_api_is_a_problem(finds: Callable[[list[Finding]], None], tmp_path: Path) -> None:
    finds([])
    path = tmp_path / "keys.json"
    keys = {"ORDERS_HTTP_AUTH": "keys", "ORDERS_HTTP_KEYS_FILE": str(path)}
    everywhere = {"ORDERS_HTTP_HOST": "0.0.0.0"}
    for host in ("127.0.0.1", "127.1.2.3", "::1", "localhost"):
        assert lines_about_access(ORDERS_HTTP_HOST=host) == []
    for host in ("0.0.0.0", "::", "10.0.0.1", "db.example"):
        (line,) = lines_about_access(ORDERS_HTTP_HOST=host)
        assert line.startswith("problem ")
    assert run(**everywhere).exit_code == 1
    path.write_text('{"keys": []}')
    assert lines_about_access(**keys)[0] == "problem no key is valid: nobody is let in"
    new_key(path, "orders:read")
    new_key(path, "orders:read", expires=datetime(2020, 1, 1, tzinfo=UTC))
    assert lines_about_access(**keys) == ["ok valid keys: 1 of 2"]
    assert lines_about_access(**keys, **everywhere) == [
        "ok valid keys: 1 of 2",
        "warning keys and tokens for 0.0.0.0 travel without TLS",
    ]
    proxy = {"ORDERS_HTTP_TRUSTED_PROXIES": "10.0.0.5"}
    assert lines_about_access(**keys, **everywhere, **proxy) == ["ok valid keys: 1 of 2"]
    path.write_text("{")
    assert lines_about_access(**keys)[0].startswith("problem ORDERS_HTTP_KEYS_FILE: ")


def test_the_end_of_the_certificate(
    finds: Callable[[list[Finding]], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finds([])
    files = TLS / "certificate.pem", TLS / "key.pem"
    names = "ORDERS_HTTP_TLS_CERTIFICATE", "ORDERS_HTTP_TLS_KEY"
    environment = dict(zip(names, map(str, files), strict=True))
    end = load_pem_x509_certificate(files[0].read_bytes()).not_valid_after_utc
    for days, state in ((100, "ok"), (13, "warning"), (-1, "problem")):
        now = end - timedelta(days=days, hours=-1)

        class Clock(datetime):
            @classmethod
            def now(cls, _: object = None) -> datetime:  # type: ignore[override]
                return now  # noqa: B023

        monkeypatch.setattr("orders.entrypoints.http.access.checks.datetime", Clock)
        (line,) = lines_about_access(**environment)
        assert line.startswith(state)
        assert f"{end:%Y-%m-%d}" in line
