"""A standby of an embedded PostgreSQL."""

from pathlib import Path

import psycopg

from orders_dev import ports
from orders_dev.postgres import PostgresServer, environment, program
from orders_dev.postgres_user import give
from tests.waiting import until


class Standby(PostgresServer):
    """Streams from ``primary``, which must run when this is first started."""

    def __init__(self, folder: Path, port: int, primary: PostgresServer) -> None:
        super().__init__(folder, port)
        self._primary = primary

    async def until_replayed(self) -> None:
        """Wait until it has replayed all that the primary has committed."""
        with psycopg.connect(self._primary.dsn) as connection:
            [(position,)] = connection.execute("SELECT pg_current_wal_lsn()")
        query = "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn"
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            await until(lambda: connection.execute(query, [position]).fetchone() == (True,))

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


class Pair:
    """A primary and its standby."""

    def __init__(self, folder: Path) -> None:
        self.primary = PostgresServer(folder / "primary", ports.choose())
        self.primary.start()
        self.standby = Standby(folder / "standby", ports.choose(), self.primary)
        self.standby.start()

    def stop(self) -> None:
        self.standby.stop()
        self.primary.stop()
