"""A real server with access control, and settings of the test's own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.http.server_process import ServerProcess

PROGRAM = Path(__file__).with_name("serving_with_access.py")


@contextmanager
def serving(folder: Path, workers: int = 2, **settings: str) -> Iterator[ServerProcess]:
    """A server with these settings, named without ORDERS_HTTP_."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(f"ORDERS_HTTP_{name}", value)
        server = ServerProcess(folder, "access", workers=workers, program=PROGRAM)
    with server:
        yield server
