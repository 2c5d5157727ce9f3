"""Cutting the connection of one request, and no other."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from orders.entrypoints.http.abort_connection import abort_connection

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture(params=["127.0.0.1", "::1"])
def pairs(request: pytest.FixtureRequest) -> Iterator[list[Pair]]:
    """Three connections, each the server's end and the client's."""
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket(family))
        try:
            listener.bind((request.param, 0))
        except OSError:
            pytest.skip("no such address here")
        listener.listen()
        found = []
        for _ in range(3):
            client = stack.enter_context(socket.socket(family))
            client.connect(listener.getsockname())
            served = stack.enter_context(listener.accept()[0])
            client.settimeout(5)
            found.append((served, client))
        yield found


def open_files() -> set[str]:
    return {file.name for file in Path("/dev/fd").iterdir()}


def scope(served: socket.socket, port: type[int | str] = int) -> dict[str, object]:
    server, client = served.getsockname(), served.getpeername()
    return {"server": (server[0], port(server[1])), "client": (client[0], port(client[1]))}


@pytest.mark.parametrize("port", [int, str])  # as text from granian
def test_cuts_this_connection_and_no_other(pairs: list[Pair], port: type[int | str]) -> None:
    served, client = pairs[1]
    assert abort_connection(scope(served, port))
    assert client.recv(1) == b""
    for other, its_client in (pairs[0], pairs[2]):
        other.sendall(b"x")
        assert its_client.recv(1) == b"x"


def test_leaves_no_file_open(pairs: list[Pair]) -> None:
    before = open_files()
    abort_connection(scope(pairs[0][0]))
    assert open_files() == before


@pytest.mark.parametrize(
    "unknown",
    [
        {},
        {"server": None, "client": None},
        {"server": ("127.0.0.1", 1), "client": ("127.0.0.1", 2)},
        {"server": ("/run/socket", None), "client": ("127.0.0.1", 2)},
    ],
)
def test_connections_that_are_not_found(unknown: dict[str, object]) -> None:
    assert not abort_connection(unknown)
