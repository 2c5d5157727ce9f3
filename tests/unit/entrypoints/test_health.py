"""The command that health checks of containers run."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from click.testing import CliRunner, Result

from orders.entrypoints.cli.main import main

STATES = {"/health/ready": 503, "/health/live": 200}


@pytest.fixture
def port() -> Iterator[int]:
    """The port of a process that is alive and not ready."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(STATES[self.path])
            self.end_headers()
            self.wfile.write(b'{"state": "unavailable"}')

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(main, ("health", *arguments), env=environment)


def address(process: str, port: int, host: str = "127.0.0.1") -> dict[str, str]:
    if process == "api":
        return {"ORDERS_HTTP_HOST": host, "ORDERS_HTTP_PORT": str(port)}
    return {"ORDERS_CONSUMER_HEALTH_HOST": host, "ORDERS_CONSUMER_HEALTH_PORT": str(port)}


@pytest.mark.parametrize("process", ["api", "consumer"])
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_the_exit_code_says_how_it_is(process: str, host: str, port: int) -> None:
    where = address(process, port, host)
    ready = run(process, **where)
    assert (ready.exit_code, ready.stdout) == (1, '{"state": "unavailable"}\n')
    assert run(process, "--live", **where).exit_code == 0


def test_the_health_port_of_the_api_is_used_where_it_is_set(port: int) -> None:
    where = {"ORDERS_HTTP_PORT": "1", "ORDERS_HTTP_HEALTH_PORT": str(port)}
    assert run("api", "--live", **where).exit_code == 0


@pytest.mark.parametrize("process", ["api", "consumer"])
def test_nobody_answers(process: str) -> None:
    ended = run(process, **address(process, 1))
    assert ended.exit_code == 1
    assert ended.stderr == f"Error: the {process} does not answer at port 1\n"


def test_a_peer_that_speaks_something_else() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            connection, _ = listener.accept()
            connection.sendall(b"220 mail\r\n")
            connection.close()

        thread = threading.Thread(target=greet)
        thread.start()
        assert run("api", **address("api", listener.getsockname()[1])).exit_code == 1
        thread.join()


def test_wrong_settings_of_its_own_end_with_2_and_those_of_others_do_not_matter(port: int) -> None:
    assert "HEALTH_PORT: is required" in run("consumer").stderr
    assert run("api", ORDERS_HTTP_PORT="x").exit_code == 2
    own = address("api", port)
    assert run("api", "--live", ORDERS_POSTGRES_DSN="hunter2 @", **own).exit_code == 0


def test_it_imports_next_to_nothing() -> None:
    ask = "import sys; import orders.entrypoints.cli.health"
    dear = "{'asyncio', 'kafka', 'litestar', 'psycopg', 'redis', 'rich', 'structlog'}"
    ask += f"; print(sorted({dear} & sys.modules.keys()))"
    shown = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"
