"""PgBouncer in front of a PostgreSQL server, pooling transactions."""

import os
import pwd
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from drills.waiting import wait_until
from orders_dev import ports
from orders_dev.postgres import accepts_connections

MISSING = "no PgBouncer: install the package pgbouncer"

_SECONDS = 20


def find() -> str | None:
    """The path of the program, if it is installed."""
    return shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")


class PgBouncer:
    """PgBouncer, which shares three connections to ``dsn`` between all its clients."""

    def __init__(self, dsn: str, folder: Path) -> None:
        program = find()
        assert program is not None, "PgBouncer is not installed"
        self._program = program
        self._port = ports.choose()
        given = conninfo_to_dict(dsn)
        self.dsn = make_conninfo(
            "", host="127.0.0.1", port=self._port, user=given["user"], dbname=given["dbname"]
        )
        target = " ".join(
            f"{name}='{given[name]}'"
            for name in ("host", "port", "user", "password", "dbname")
            if name in given
        )
        self._settings = folder / "pgbouncer.ini"
        self._settings.write_text(
            f"""
[databases]
{given["dbname"]} = {target}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self._port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
max_client_conn = 200
ignore_startup_parameters = extra_float_digits
""",
            "utf-8",
        )
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, and wait until a statement comes through."""
        # It does not run as root, and must be able to read its settings.
        nobody = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        if nobody:
            os.chown(self._settings, nobody.pw_uid, nobody.pw_gid)
        descriptor = os.open(self._settings, os.O_RDONLY)
        try:
            self._process = subprocess.Popen(
                [self._program, "-q", f"/dev/fd/{descriptor}"],
                pass_fds=[descriptor],
                user=nobody.pw_uid if nobody else None,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        finally:
            os.close(descriptor)
        wait_until(self._answers, _SECONDS, "PgBouncer answers")

    def stop(self) -> None:
        """Kill it, which cuts all connections."""
        if self._process:
            self._process.kill()
            self._process.wait(_SECONDS)
            self._process = None

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "PgBouncer has ended"
        return accepts_connections(self.dsn)
