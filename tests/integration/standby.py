"""A standby of an embedded PostgreSQL."""

from pathlib import Path

import psycopg

from orders_dev.postgres import PostgresServer, environment, program
from orders_dev.postgres_user import give


class Standby(PostgresServer):
    """Streams from ``primary``, which must run when this is first started."""

    def __init__(self, folder: Path, port: int, primary: PostgresServer) -> None:
        super().__init__(folder, port)
        self._primary = primary

    def promote(self) -> None:
        """Make it a primary, and wait until it accepts writes."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute("SELECT pg_promote()")

    def delay(self, delay: str) -> None:
        """Have it replay transactions this long after their commits, such as "1h"."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(f"ALTER SYSTEM SET recovery_min_apply_delay = '{delay}'")
            connection.execute("SELECT pg_reload_conf()")

    def _create_cluster(self) -> None:
        self.folder.mkdir(mode=0o700)
        give(self.folder, self._user.owner)
        self._run_tool(
            self._launch(
                [
                    *(str(program("pg_basebackup")), "--pgdata=.", "--write-recovery-conf"),
                    *("--checkpoint=fast", f"--dbname={self._primary.dsn}"),
                ],
                environment(),
                wrapper=self._user.wrapper,
                name="pg_basebackup (copies the primary)",
            )
        )
        self._write_private(self.password_file, self._primary.password_file.read_text("utf-8"))
