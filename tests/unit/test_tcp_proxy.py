"""A proxy that tests shut lets nothing through, whatever it was doing."""

import socket
from typing import Any

import pytest

from tests.integration.tcp_proxy import TcpProxy


def test_a_client_that_is_accepted_while_it_is_shut_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connect = socket.create_connection
    with (
        socket.create_server(("127.0.0.1", 0)) as target,
        TcpProxy("127.0.0.1", target.getsockname()[1]) as proxy,
    ):

        def connect_and_shut(*arguments: Any) -> socket.socket:
            connection = connect(*arguments)
            proxy.shut()
            return connection

        monkeypatch.setattr(socket, "create_connection", connect_and_shut)
        with connect(("127.0.0.1", proxy.port), 10) as client:
            assert client.recv(1) == b""
