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
)
from orders_dev.supervisor import Supervisor


def run(
    settings: Settings, path: Path, console: Console, stop: threading.Event, *, reset: bool
) -> None:
    """Run the whole system on the data folder `path` until `stop` is set.

    Args:
        settings: what the user has set.
        path: the data folder; created if missing.
        console: for output to the user.
        stop: stops it, also while it is starting.
        reset: whether to delete the data of earlier runs first.

    Raises:
        UsageError: the folder is in use or contains other files, or the port that the user has
            set is taken; nothing was started.
        DevError: a server or process failed; all others were stopped.
    """
    data = DataFolder(path)
    data.acquire()
    try:
        # Processes that a killed run has left may still use the ports.
        apps.end_orphans(data.path)
        for server in DevStack.on(data, dict.fromkeys(SERVER_PORTS, 0), 0).servers:
            server.end_orphan()
            if reset:
                server.erase()
        http_port = choose_http_port(settings, asked_for=asks_for_http_port(os.environ))
        if http_port != settings.http_port:
            console.print(f"Port {settings.http_port} is taken: the API gets {http_port}.")
        server_ports = choose_server_ports({} if reset else data.remembered_ports())
        data.remember_ports(server_ports)
        stack = DevStack.on(data, server_ports, http_port)
        Supervisor(data, settings, os.environ, console, stop).run(stack)
    finally:
        data.release()
