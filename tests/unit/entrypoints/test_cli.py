"""The command line: what it says, and its exit codes."""

import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from structlog.testing import capture_logs

from orders.domain.intake.reading import read
from orders.entrypoints.cli.main import main
from orders.usable_memory import usable_memory


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    for name in ("POSTGRES_DSN", "KAFKA_BOOTSTRAP", "REDIS_URL", "HTTP_PORT"):
        monkeypatch.delenv(f"ORDERS_{name}", raising=False)
    monkeypatch.chdir(str(tmp_path))


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(main, arguments, env=environment)


def test_help_lists_every_command_with_a_line() -> None:
    shown = run("--help")
    assert shown.exit_code == 0
    for name in main.list_commands(None):  # type: ignore[arg-type]
        line = next(x for x in shown.stdout.splitlines() if x.startswith(f"  {name} "))
        assert len(line.split()) > 2


@pytest.mark.parametrize("name", main.list_commands(None))  # type: ignore[arg-type]
def test_that_line_is_the_commands_own(name: str) -> None:
    command = main.get_command(None, name)  # type: ignore[arg-type]
    assert command is not None
    shown = " ".join(run("--help").stdout.split())
    assert f" {name} {command.get_short_help_str(limit=200)}" in shown


def test_help_loads_no_command() -> None:
    ask = "import sys; from orders.entrypoints.cli.main import main"
    ask += "; main(['--help'], standalone_mode=False)"
    ask += "; print(sorted({'litestar', 'kafka', 'psycopg', 'redis', 'rich'} & sys.modules.keys()))"
    shown = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("name", "others"),
    [
        ("api", set[str]()),
        ("consumer", {"anyio", "litestar", "uvicorn", "uvloop", "yaml"}),
    ],
)
def test_a_service_imports_only_what_it_uses(name: str, others: set[str]) -> None:
    unused = others | {"cramjam", "cryptography.x509", "jwt", "limits", "opentelemetry", "rich"}
    unused |= {"snappy", "werkzeug", "zstandard"}
    for each in unused:
        assert find_spec(each), "it is installed, so it would be imported"
    ask = "import sys; from orders.entrypoints.cli.main import main"
    ask += f"; main.get_command(None, {name!r}); print(sorted({unused} & sys.modules.keys()))"
    ask += "; import rich.console, opentelemetry.sdk.trace"  # for who needs them later
    shown = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"


@pytest.mark.parametrize(
    "name", ["api", "config", "consumer", "dev", "doctor", "generate", "health", "keys", "migrate"]
)
def test_every_command_has_help_with_an_example(name: str) -> None:
    shown = run(name, "--help")
    assert shown.exit_code == 0
    assert f"orders {name}" in shown.stdout.partition("Usage")[2].partition("\n")[2]


def test_wrong_usage_ends_with_2() -> None:
    assert run("nonsense").exit_code == 2
    for wrong in (["0"], [], ["--stdout"], ["3", "--stdout", "--rate", "1"], ["--rate", "0"]):
        assert run("generate", *wrong).exit_code == 2


@pytest.mark.parametrize("name", ["api", "consumer"])
def test_missing_settings_end_with_2_and_are_all_named(name: str) -> None:
    ended = run(name)
    assert ended.exit_code == 2
    assert "ORDERS_POSTGRES_DSN: is required" in ended.stderr
    assert "ORDERS_KAFKA_BOOTSTRAP: is required" in ended.stderr


def test_the_api_says_at_its_start_how_large_its_local_caches_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def serve(*_: object, **__: object) -> int:
        return 0

    def start_logging(*_: object) -> None:
        pass  # else no line is captured

    monkeypatch.setattr("orders.entrypoints.cli.api.serve", serve)
    monkeypatch.setattr("orders.entrypoints.cli.api.start_logging", start_logging)
    environment = {
        "ORDERS_POSTGRES_DSN": "host=h",
        "ORDERS_KAFKA_BOOTSTRAP": "h:1",
        "ORDERS_HTTP_WORKERS": "2",
    }
    expected = {"event": "local cache sized", "log_level": "info", "workers": 2}
    expected |= {"memory": usable_memory()}
    share = max(64 * 2**20, usable_memory() // 16)
    for given, size in (("", share), ("12345", 12345), ("0", 0)):
        with capture_logs() as lines:
            ended = run("api", ORDERS_CACHE_LOCAL_BYTES=given, **environment)
        assert ended.exit_code == 0
        assert lines == [expected | {"bytes": size}]


def test_config_prints_what_is_set_and_hides_secrets() -> None:
    shown = run("config", ORDERS_POSTGRES_DSN="postgresql://u:hunter2@h/d", ORDERS_HTTP_PROT="1")
    assert shown.exit_code == 0
    assert "ORDERS_HTTP_PORT=8080" in shown.stdout
    assert "# ORDERS_REDIS_URL is not set" in shown.stdout
    assert "hunter2" not in shown.output
    assert "ORDERS_HTTP_PROT: no such setting" in shown.stderr


def test_config_ends_with_2_on_a_fault() -> None:
    assert run("config", ORDERS_HTTP_PORT="x").exit_code == 2


@pytest.mark.parametrize(
    ("command", "needed"),
    [
        ("api", {"POSTGRES_DSN", "KAFKA_BOOTSTRAP"}),
        ("consumer", {"POSTGRES_DSN", "KAFKA_BOOTSTRAP"}),
        ("migrate", {"POSTGRES_DSN"}),
        ("generate", {"KAFKA_BOOTSTRAP"}),
        ("dlq", {"KAFKA_BOOTSTRAP"}),
    ],
)
def test_config_says_what_a_command_needs(command: str, needed: set[str]) -> None:
    ended = run("config", "--for", command)
    assert ended.exit_code == 2
    for name in ("POSTGRES_DSN", "KAFKA_BOOTSTRAP"):
        assert (f"ORDERS_{name}: is required" in ended.stderr) == (name in needed)


def test_generate_prints_orders_that_are_valid() -> None:
    printed = run("generate", "3", "--stdout")
    assert printed.exit_code == 0
    lines = printed.stdout_bytes.splitlines()
    assert len(lines) == 3
    assert all(len(read(line).accepted) == 1 for line in lines)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("name", ["api", "consumer"])
def test_a_service_that_is_stopped_while_it_loads_ends_with_0(
    tmp_path: Path, name: str, number: signal.Signals
) -> None:
    (tmp_path / "loading.py").write_text(
        f"import os, time\nos.kill(os.getpid(), {int(number)})\ntime.sleep(30)\n"
    )
    lazy = "cli._Lazy('loading:x', '')"
    code = (
        "from orders.entrypoints.cli import main as cli; "
        f"cli._COMMANDS[{name!r}] = {lazy}; cli.run()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, name], cwd=tmp_path, capture_output=True, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")


def test_without_the_development_stack_dev_says_so_and_ends_with_2() -> None:
    code = (
        "import sys; sys.modules['orders_dev'] = None; "
        "from orders.entrypoints.cli.main import run; run()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, "dev"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert "the development stack is not part of this installation" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_shards_are_for_distributing() -> None:
    result = run("migrate", "--shards", "8")
    assert result.exit_code == 2
    assert "--shards is for --distribute" in result.output


def test_a_file_of_keys_that_is_none_is_told_without_a_server(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text("hunter2")
    keys = {"ORDERS_HTTP_AUTH": "keys", "ORDERS_HTTP_KEYS_FILE": str(path)}
    for arguments in (["config"], ["api", "--memory"]):
        ended = run(*arguments, **keys)
        assert ended.exit_code == 2
        assert ended.stderr == "orders: ORDERS_HTTP_KEYS_FILE: is not a file of `orders keys`\n"
    path.write_text('{"keys": []}')
    assert run("config", **keys).exit_code == 0


@pytest.mark.parametrize("arguments", [("config",), ("doctor",), ("dlq", "--help")])
@pytest.mark.parametrize("output", ["/dev/full", "closed"])
def test_output_that_cannot_be_written(arguments: tuple[str, ...], output: str) -> None:
    if output == "closed":
        read_end, written = os.pipe()
        os.close(read_end)
    else:
        written = os.open(output, os.O_WRONLY)
    ended = subprocess.run(
        [sys.executable, "-m", "orders", *arguments],
        env=os.environ | {"ORDERS_LOG_LEVEL": "error"},
        stdout=written,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(written)
    reason = "Error: standard output cannot be written: No space left on device\n"
    assert (ended.returncode, ended.stderr) == (1, "" if output == "closed" else reason)


@pytest.mark.parametrize(
    "arguments", [("dlq", "replay", "--all"), ("forget", "b563feb7b2b84b6test")]
)
def test_without_standard_output_nothing_is_done(arguments: tuple[str, ...]) -> None:
    ended = subprocess.run(
        ["sh", "-c", 'exec "$0" -m orders "$@" >&-', sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (1, "Error: standard output is closed\n")
