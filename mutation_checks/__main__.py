"""The command behind `make mutation-checks`: apply each mutation, and see its test fail.

The code is changed in a copy; the tests import that copy, for PYTHONPATH comes first.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
import pytest
from rich.console import Console

from drills.servers import Servers
from mutation_checks.catalog import MUTATION_CHECKS, MutationCheck

ROOT = Path(__file__).parents[1]


@click.command()
@click.argument("words", nargs=-1)
def main(words: Sequence[str]) -> None:
    """Try all mutation checks, or those with one of WORDS in their name.

    Ends with 1 if a test passes with its mutation, or fails without it.
    """
    console = Console(highlight=False, soft_wrap=True)
    chosen = [s for s in MUTATION_CHECKS if not words or any(word in s.name for word in words)]
    folder = Path(tempfile.mkdtemp(prefix="orders-mutation-checks-"))
    servers = Servers(folder / "servers")
    failures = 0
    try:
        servers.heal()
        environment = os.environ | {
            "ORDERS_TEST_POSTGRES_DSN": servers.postgres_dsn,
            "ORDERS_TEST_REDIS_URL": servers.redis_url,
            "ORDERS_TEST_KAFKA_BOOTSTRAP": servers.bootstrap,
        }
        for check in chosen:
            failure, output = _try(check, folder / "copy", environment)
            failures += failure
            console.print(f"{'FAILED' if failure else 'noticed':8} {check.name}")
            console.print(f"         {output}", markup=False)
    finally:
        servers.stop()
        shutil.rmtree(folder, ignore_errors=True)
    console.print(f"{len(chosen) - failures} of {len(chosen)} mutations are noticed")
    sys.exit(1 if failures else 0)


def _try(check: MutationCheck, copy: Path, environment: Mapping[str, str]) -> tuple[bool, str]:
    """Return whether the check failed, and why; or else the failure that the test has reported."""
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(ROOT / "src", copy, ignore=shutil.ignore_patterns("__pycache__"))
    with_it = _run(check.test, copy, environment)
    if with_it.returncode != pytest.ExitCode.OK or " passed" not in with_it.stdout:
        result = (with_it.stdout.splitlines() or [""])[-1]
        return True, f"without the mutation {check.test} ends with {with_it.returncode}: {result}"
    file = copy / "orders" / check.file
    text = file.read_text("utf-8")
    if check.present not in text:
        return True, f"{check.file} no longer contains: {check.present.strip()}"
    file.write_text(text.replace(check.present, check.absent), "utf-8")
    without = _run(check.test, copy, environment)
    # Its exit code alone does not tell: Python's is the same if pytest itself crashes.
    for line in without.stdout.splitlines():
        if line.startswith("FAILED "):
            return False, line.removeprefix("FAILED ")
    return True, f"{check.test} ends with {without.returncode} with the mutation, and no failure"


def _run(
    test: str, source: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    options = ("-q", "-x", "-rf", "--tb=no", "-p", "no:cacheprovider")
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, test],
        cwd=ROOT,
        env={
            **environment,
            "PYTHONPATH": str(source),
            "PYTHONDONTWRITEBYTECODE": "1",
            "COLUMNS": "300",
        },
        capture_output=True,
        text=True,
        check=False,
    )


if __name__ == "__main__":
    main()
