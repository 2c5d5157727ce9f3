"""The documents say what the code does."""

import re
from pathlib import Path

import pytest

from orders.config import variables
from orders.entrypoints.cli import main
from tests.safeties.catalog import SAFETIES

ROOT = Path(__file__).parents[3]
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]


def test_every_setting_is_documented_with_its_default() -> None:
    text = (ROOT / "docs" / "operating.md").read_text()
    for variable in variables():
        default = "none" if variable.default is None else f"`{variable.default}`"
        assert f"| `{variable.name}` | {default} | {variable.meaning}" in text


def test_every_command_is_documented() -> None:
    text = (ROOT / "docs" / "operating.md").read_text()
    for name in main.list_commands(None):  # type: ignore[arg-type]
        assert f"`orders {name}" in text


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_and_paths_lead_somewhere(document: Path) -> None:
    text = document.read_text()
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
        assert (document.parent / target).exists(), target
    for path in re.findall(
        r"`((?:src|tests|deploy|docs|domain|adapters|entrypoints)/[^`*:]+)", text
    ):
        assert (ROOT / path).exists() or (ROOT / "src" / "orders" / path).exists(), path


def test_every_port_has_its_twin_its_suite_and_its_row() -> None:
    source = ROOT / "src" / "orders"
    table = (ROOT / "docs" / "architecture.md").read_text()
    ports = {path.stem for path in (source / "domain" / "ports").glob("[a-z]*.py")} - {"dependency"}
    for port in ports:
        assert f"| `{port}` |" in table
        assert (ROOT / "tests" / "contracts" / f"{port}.py").exists(), port
        adapters = {path.parent.name for path in (source / "adapters").glob(f"*/{port}.py")}
        assert adapters, port
        assert "memory" in adapters or port == "order_generator"


def test_decisions_are_numbered_without_gaps() -> None:
    numbers = sorted(int(p.name[:4]) for p in (ROOT / "docs" / "adr").glob("[0-9]*.md"))
    assert numbers == list(range(1, len(numbers) + 1))


def test_the_tests_that_show_the_guarantee_exist() -> None:
    text = (ROOT / "docs" / "guarantee.md").read_text()
    file = ROOT
    named = re.findall(r"`(tests/[^`:]+\.py)?::(\w+)`", text)
    assert len(named) > 10
    for path, name in named:
        file = ROOT / path if path else file
        assert f"def {name}(" in file.read_text(), name


def test_the_tests_of_the_safeties_exist() -> None:
    for safety in SAFETIES:
        path, *_, name = safety.test.split("::")
        assert safety.present in (ROOT / "src" / "orders" / safety.file).read_text(), safety.name
        contracts = "".join(file.read_text() for file in (ROOT / "tests/contracts").glob("*.py"))
        assert f"def {name}(" in (ROOT / path).read_text() + contracts, safety.name
