"""What a release would publish: files with their hashes, version, tag and changelog."""

import hashlib
import re
import subprocess
import tomllib
from pathlib import Path

from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder
from msgspec import Struct

_HEADING = re.compile(r"(?m)^## \[([^\]]+)\](?: - (\d{4}-\d{2}-\d{2}))?$")


class Release(Struct, frozen=True):
    """One release; ``faults`` are the reasons not to publish it."""

    version: str
    commit: str
    files: tuple[Path, ...]
    changes: str
    faults: tuple[str, ...]

    @property
    def tag(self) -> str:
        """The name of its tag."""
        return f"v{self.version}"


def version_of(root: Path) -> str:
    """The version, which stands in pyproject.toml alone."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    return str(project["version"])


def sections(root: Path) -> dict[str, tuple[str | None, str]]:
    """Date and text by version of CHANGELOG.md, the newest first; Unreleased has no date."""
    parts = _HEADING.split((root / "CHANGELOG.md").read_text("utf-8"))[1:]
    rows = zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    return {version: (date, text.strip()) for version, date, text in rows}


def sha256(file: Path) -> str:
    """The hash of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def build(root: Path, into: Path) -> tuple[Path, ...]:
    """Build wheel and sdist. The same tree gives the same bytes."""
    builders = (WheelBuilder(str(root)), SdistBuilder(str(root)))
    return tuple(
        Path(made)
        for builder in builders
        for made in builder.build(directory=str(into), versions=["standard"])
    )


def plan(root: Path, into: Path) -> Release:
    """Build the files of a release, and see whether it may be published."""
    version = version_of(root)
    _, changes = sections(root).get(version, (None, ""))
    return Release(
        version,
        _git(root, "rev-parse", "--short=12", "HEAD"),
        build(root, into),
        changes,
        tuple(_faults(root, version)),
    )


def _faults(root: Path, version: str) -> list[str]:
    found = []
    known = sections(root)
    if version not in known:
        found.append(f"CHANGELOG.md has no section [{version}]")
    elif known[version][0] is None:
        found.append(f"section [{version}] of CHANGELOG.md has no date")
    if known.get("Unreleased", (None, ""))[1]:
        found.append("CHANGELOG.md has changes under [Unreleased]")
    if _git(root, "status", "--porcelain"):
        found.append("the working tree has changes that are not committed")
    if _git(root, "tag", "--list", f"v{version}"):
        found.append(f"tag v{version} exists already: raise the version in pyproject.toml")
    return found


def _git(root: Path, *words: str) -> str:
    ended = subprocess.run(["git", *words], cwd=root, check=True, capture_output=True, text=True)
    return ended.stdout.strip()
