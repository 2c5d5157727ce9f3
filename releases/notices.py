"""THIRD_PARTY.md: the packages in the image and their licences."""

import json
import subprocess
import sys
from pathlib import Path

from msgspec import Struct

FILE = "THIRD_PARTY.md"
_HEAD = """\
# Third-party software in the image

Written by `make notices` from the packages that `requirements/runtime.lock` installs. The texts of
their licences are in the image, below `/opt/orders/lib/python*/site-packages/*.dist-info`. Some
wheels have libraries of others in them: `psycopg-binary` has those of `psycopg_binary.libs`, among
them libpq (PostgreSQL licence) and OpenSSL (Apache-2.0).

Under the LGPL are {lgpl}.
They are packages of their own, used unchanged, and anyone may replace them in the image: whoever
passes it on passes on this notice, their licence texts and where their source is (below), and our
own code stays under its own licence.

The page's font is under the OFL-1.1, whose text is in the wheel.

| package | version | licence | source |
| --- | --- | --- | --- |
"""


class Package(Struct, frozen=True, order=True):
    """One package, by pip-licenses."""

    name: str
    version: str
    license: str
    url: str


def installed(python: str) -> list[Package]:
    """The packages of an environment, but for our own."""
    command = [sys.executable, "-m", "piplicenses", "--python", python, "--from", "mixed"]
    told = subprocess.run(
        [*command, "--with-urls", "--with-system", "--format", "json"],
        check=True,
        capture_output=True,
        text=True,
    )
    packages = (
        Package(
            row["Name"].lower().replace("_", "-"),
            row["Version"],
            row["License"].splitlines()[0].strip(),  # some have the whole text there
            row["URL"].replace("UNKNOWN", "by its name in PyPI"),
        )
        for row in json.loads(told.stdout)
    )
    return sorted(package for package in packages if package.name != "orders")


def text(packages: list[Package]) -> str:
    """The document."""
    lgpl = [f"`{p.name}`" for p in packages if "Lesser" in p.license or "LGPL" in p.license]
    head = _HEAD.format(lgpl=", ".join(lgpl[:-1]) + " and " + lgpl[-1])
    rows = (f"| {p.name} | {p.version} | {p.license} | {p.url} |\n" for p in packages)
    return head + "".join(rows)


def write(root: Path, python: str) -> None:
    """Write it for the packages of an environment."""
    (root / FILE).write_text(text(installed(python)), "utf-8")
