"""Choosing free ports."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from orders_dev import ports


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_a_port_with_a_listener_is_not_free(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    assert ports.answers(port)
    assert not ports.is_free(port)
    listener.close()
    assert ports.is_free(port)
    assert not ports.answers(port)


def test_a_listener_on_all_addresses_counts() -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        assert not ports.is_free(server.getsockname()[1])


def test_the_first_free_wish_is_taken(listener: socket.socket) -> None:
    taken = listener.getsockname()[1]
    free = ports.choose()
    assert ports.choose([taken, free]) == free


def test_what_is_promised_is_not_given_again() -> None:
    free = ports.choose()
    other = ports.choose([free], taken={free})
    assert other != free
    assert ports.is_free(other)


def test_two_that_start_at_once_get_different_ports(tmp_path: Path) -> None:
    free = ports.choose()
    first, second = ports.Claims(tmp_path / "ports"), ports.Claims(tmp_path / "ports")
    assert ports.choose([free], claim=first) == free
    assert ports.choose([free], claim=second) != free
    first.release()
    third = ports.Claims(tmp_path / "ports")
    assert ports.choose([free], claim=third) == free
    second.release()
    third.release()


def test_where_nothing_can_be_written_there_are_no_claims() -> None:
    assert ports.Claims(Path("/dev/null/ports"))(1)
