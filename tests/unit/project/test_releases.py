"""The version stands in one place, and what is said of a release is true."""

import re
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.version import Version

from releases import notices
from releases.plan import plan, sections, sha256, version_of
from releases.wheel_check import _NOT_THERE, PYTHONS, TESTS, find_python
from tests.commands import ROOT

IMAGE = {
    "implementation_name": "cpython",
    "platform_python_implementation": "CPython",
    "python_full_version": "3.13.11",
    "python_version": "3.13",
    "sys_platform": "linux",
}


def test_the_version_stands_in_one_place() -> None:
    assert version_of(ROOT) == version("orders")
    text = (ROOT / "deploy/kubernetes/base/kustomization.yaml").read_text()
    assert re.findall(r"newTag: (\S+)", text) == [version_of(ROOT)]
    elsewhere = re.compile(r"(__version__|version) = \"\d")
    assert not [p for p in (ROOT / "src").rglob("*.py") if elsewhere.search(p.read_text())]


def test_the_changelog_is_by_release_the_newest_first() -> None:
    found = sections(ROOT)
    headings = re.findall(r"(?m)^## .*$", (ROOT / "CHANGELOG.md").read_text())
    assert len(found) == len(headings), "a heading has another form"
    released = [name for name in found if name != "Unreleased"]
    assert list(found)[: len(found) - len(released)] in ([], ["Unreleased"])
    assert released == sorted(released, key=Version, reverse=True)
    assert all(found[name][0] for name in released)
    assert all(Version(name) <= Version(version_of(ROOT)) for name in released)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A project with a release in it that is ready."""
    root = tmp_path / "project"
    (root / "src" / "orders").mkdir(parents=True)
    (root / "src" / "orders" / "__init__.py").write_text("")
    (root / ".gitignore").write_text("dist/\n")
    (root / "pyproject.toml").write_text(
        '[project]\nname = "orders"\nversion = "1.2.3"\n'
        '[tool.hatch.build.targets.wheel]\npackages = ["src/orders"]\n'
    )
    (root / "CHANGELOG.md").write_text(
        "# Changelog\n\n## [1.2.3] - 2026-01-02\n\n- New.\n\n## [1.2.2] - 2026-01-01\n\n- Old.\n"
    )
    git(root, "init", "--quiet")
    commit(root)
    return root


def git(root: Path, *words: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=root, check=True
    )


def commit(root: Path) -> None:
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "all of it")


def test_a_release_that_is_ready(repository: Path) -> None:
    release = plan(repository, repository / "dist")
    assert release.faults == ()
    assert (release.version, release.tag, release.changes) == ("1.2.3", "v1.2.3", "- New.")
    names = [file.name for file in release.files]
    assert names == ["orders-1.2.3-py2.py3-none-any.whl", "orders-1.2.3.tar.gz"]
    hashes = [sha256(file) for file in release.files]
    assert [sha256(file) for file in plan(repository, repository / "dist").files] == hashes


def test_a_release_that_is_not_ready(repository: Path) -> None:
    def faults() -> str:
        return "\n".join(plan(repository, repository / "dist").faults)

    changelog = repository / "CHANGELOG.md"
    ready = changelog.read_text()
    changelog.write_text(ready.replace("[1.2.3]", "[1.2.4]"))
    assert "no section [1.2.3]" in faults()
    assert "not committed" in faults()
    changelog.write_text(ready.replace("[1.2.3] - 2026-01-02", "[1.2.3]"))
    assert "has no date" in faults()
    changelog.write_text(ready.replace("## [1.2.3]", "## [Unreleased]\n\n- More.\n\n## [1.2.3]"))
    assert "under [Unreleased]" in faults()
    changelog.write_text(ready)
    git(repository, "tag", "v1.2.3")
    assert faults() == "tag v1.2.3 exists already: raise the version in pyproject.toml"


def test_what_is_tried_with_the_wheel_is_there() -> None:
    assert all((ROOT / path).exists() for path in (*TESTS, *_NOT_THERE))
    text = (ROOT / "pyproject.toml").read_text()
    assert tuple(re.findall(r"Python :: (3\.\d+)", text)) == PYTHONS


def test_an_interpreter_that_is_not_there_is_none() -> None:
    assert find_python("3.99") is None


def test_the_notices_name_what_the_image_holds() -> None:
    lock = (ROOT / "requirements" / "runtime.lock").read_text()
    pins = re.findall(r"(?m)^([a-z0-9._-]+)(?:\[[^\]]*\])?==(\S+)(?: ; (.*?))? \\$", lock)
    locked = {
        (name.replace("_", "-"), number)
        for name, number, marker in pins
        if not marker or Marker(marker).evaluate(IMAGE)
    }
    text = (ROOT / notices.FILE).read_text()
    told = set(re.findall(r"(?m)^\| ([a-z0-9.-]+) \| (\S+) \| .+ \| .+ \|$", text))
    told -= {("package", "version"), ("---", "---")}
    assert told == locked, f"write it anew: make notices PYTHON=python{IMAGE['python_version']}"
    assert "UNKNOWN" not in text


def test_what_is_under_the_lgpl_is_told() -> None:
    packages = [
        notices.Package("a", "1", "MIT", "u"),
        notices.Package("psycopg", "3", "LGPL-3.0-only", "u"),
        notices.Package("z", "2", "GNU Lesser General Public License v2 or later", "u"),
    ]
    text = notices.text(packages)
    assert "Under the LGPL are `psycopg` and `z`." in text
    assert "| psycopg | 3 | LGPL-3.0-only | u |" in text
