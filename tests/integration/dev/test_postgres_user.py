"""As root, PostgreSQL runs as somebody else: both ways, and none."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from orders_dev import ports, postgres_user
from orders_dev.errors import UsageError
from orders_dev.postgres import PostgresServer

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="concerns root, and this is not")


def only(*programs: str) -> Callable[[str], str | None]:
    return lambda name: shutil.which(name) if name in programs else None


def works(program: str) -> bool:
    arguments = {"unshare": ["--user"], "setpriv": ["--reuid=65534"]}[program]
    return subprocess.run([program, *arguments, "true"], check=False).returncode == 0


@pytest.mark.parametrize("program", ["unshare", "setpriv"])
def test_each_way_runs_a_server_below_a_private_folder_and_takes_over_the_others_data(
    awkward_folder: Path, program: str
) -> None:
    if not works(program):
        pytest.skip(f"{program} is forbidden on this machine")
    for way in ("unshare", "setpriv", program):
        if not works(way):
            continue
        server = PostgresServer(awkward_folder / "postgres", ports.choose(), find_program=only(way))
        server.start()
        try:
            with psycopg.connect(server.dsn) as connection:
                connection.execute("CREATE TABLE IF NOT EXISTS kept (way text)")
                connection.execute("INSERT INTO kept VALUES (%s)", (way,))
            owner = Path(f"/proc/{server.pid}").stat().st_uid
            assert owner == (0 if way == "unshare" else 65534)
            assert server.folder.stat().st_uid == owner
        finally:
            server.stop()


def test_where_neither_works_root_gets_advice(awkward_folder: Path) -> None:
    server = PostgresServer(awkward_folder / "postgres", ports.choose(), find_program=only())
    with pytest.raises(UsageError, match="does not run as root") as failure:
        server.start()
    assert "ORDERS_POSTGRES_DSN" in failure.value.advice


def test_a_way_that_fails_gives_place_to_the_next(awkward_folder: Path) -> None:
    forbidden = {"unshare": shutil.which("false"), "setpriv": shutil.which("setpriv")}
    program = shutil.which("id")
    assert program
    user = postgres_user.choose_user(awkward_folder, Path(program), forbidden.get)
    assert user.owner == 65534
