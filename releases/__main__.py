"""The commands behind `make release` and `make release-check`."""

import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Sequence
from pathlib import Path

import click

from releases import notices
from releases.plan import plan, sha256
from releases.wheel_check import PYTHONS, check, find_python

ROOT = Path(__file__).parents[1]


@click.group()
def main() -> None:
    """Prepare a release; nothing is published."""


@main.command()
def show() -> None:
    """Build the files into dist/ and say what would be published; 1 if it is not ready."""
    release = plan(ROOT, ROOT / "dist")
    click.echo(f"orders {release.version}, tag {release.tag} at commit {release.commit}\n")
    for file in release.files:
        click.echo(f"{sha256(file)}  {file.relative_to(ROOT)}  ({file.stat().st_size:,} bytes)")
    click.echo(f"\nChanges:\n{textwrap.indent(release.changes or 'none are listed', '  ')}\n")
    for fault in release.faults:
        click.echo(f"not ready: {fault}")
    click.echo("Nothing was published.")
    sys.exit(bool(release.faults))


@main.command("check")
@click.argument("versions", nargs=-1)
def check_wheel(versions: Sequence[str]) -> None:
    """Test the built wheel by each of the Python VERSIONS; 1 if one fails or is missing."""
    outcome = {version: _try(version) for version in versions or PYTHONS}
    for version, found in outcome.items():
        click.echo(f"Python {version}: {found}")
    sys.exit(set(outcome.values()) != {"passed"})


@main.command("notices")
@click.argument("python")
def write_notices(python: str) -> None:
    """Write THIRD_PARTY.md for the packages of the environment of PYTHON."""
    notices.write(ROOT, python)


def _try(version: str) -> str:
    python = find_python(version)
    if python is None:
        return "MISSING on this machine, not tried"
    click.echo(f"--- Python {version}: {python}")
    with tempfile.TemporaryDirectory(prefix="orders-release-") as folder:
        try:
            check(ROOT, python, Path(folder) / "release")
        except subprocess.CalledProcessError as error:
            return f"FAILED: {' '.join(map(str, error.cmd[:6]))}"
    return "passed"


if __name__ == "__main__":
    main()
