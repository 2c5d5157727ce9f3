"""Runs the local system on a data folder: locks it, chooses ports, starts everything."""

import os
import threading
from pathlib import Path

from rich.console import Console

from orders.config import Settings
from orders_dev import apps
from orders_dev.data_folder import DataFolder
from orders_dev.dev_stack import (
    SERVER_PORTS,
    DevStack,
    asks_for_http_port,
    choose_http_port,
    choose_server_ports,
    preferred_ports,
    replaced_ports,
)
from orders_dev.jars import user_cache
from orders_dev.ports import Claims
from orders_dev.supervisor import Supervisor


def run(
    settings: Settings,
    path: Path,
    console: Console,
    stop: threading.Event,
    *,
    reset: bool,
    demo: float | None,
) -> None:
    """Run the whole system on the data folder `path` until `stop` is set.

    Args:
        settings: what the user has set.
        path: the data folder; created if missing.
        console: for output to the user.
        stop: stops it, also while it is starting.
        reset: whether to delete the data of earlier runs first.
        demo: made-up orders to send a second; None for none.

    Raises:
        UsageError: the folder is in use or contains other files, or the port that the user has
            set is taken; nothing was started.
        DevError: a server or process failed; all others were stopped.
    """
    data = DataFolder(path)
    data.acquire()
    claims = Claims(user_cache().parent / "ports")
    try:
        # Processes that a killed run has left may still use the ports.
        apps.end_orphans(data.path)
        for server in DevStack.on(data, dict.fromkeys(SERVER_PORTS, 0), 0).servers:
            server.end_orphan()
            if reset:
                server.erase()
        asked_for = asks_for_http_port(os.environ)
        http_port = choose_http_port(settings, asked_for=asked_for, claim=claims)
        if http_port != settings.http_port:
            console.print(f"Port {settings.http_port} is taken: the API gets {http_port}.")
        remembered = {} if reset else data.remembered_ports()
        server_ports = choose_server_ports(remembered, claims)
        for sentence in replaced_ports(preferred_ports(remembered), server_ports, settings):
            console.print(sentence, highlight=False)
        data.remember_ports(server_ports)
        stack = DevStack.on(data, server_ports, http_port)
        Supervisor(data, settings, os.environ, console, stop, demo=demo).run(stack)
    finally:
        claims.release()
        data.release()
