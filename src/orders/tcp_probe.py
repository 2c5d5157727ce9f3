"""Finds out whether a server accepts TCP connections, for `orders doctor`."""

import socket
from typing import Any, NamedTuple


class ProbeFailure(NamedTuple):
    """Why an address could not be connected to, and what an operator can do about it."""

    reason: str
    advice: str


def probe_tcp(host: str, port: str, timeout: float, setting: str) -> ProbeFailure | None:
    """Connect to an address and close the connection again; None if that works.

    Blocking: for threads. ``setting`` is the name of the setting that holds the address.
    """
    where = f"{host}:{port}"
    try:
        address: Any = (host.strip("[]"), port)  # the type stubs allow no text as the port
        socket.create_connection(address, timeout).close()
    except TimeoutError:
        return ProbeFailure(
            f"{where} does not answer", "check its machine, and the firewalls in between"
        )
    except socket.gaierror:
        return ProbeFailure(f"the name {host} is not known", f"correct it in {setting}")
    except ConnectionRefusedError:
        return ProbeFailure(f"nothing listens on {where}", f"start it, or correct {setting}")
    except OSError as error:
        return ProbeFailure(f"{where} cannot be reached: {error.strerror}", f"correct {setting}")
    return None
