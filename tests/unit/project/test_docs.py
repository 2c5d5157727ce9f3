"""The documents say what the code does."""

import re
from pathlib import Path

import pytest

from drills.catalog import DRILLS
from mutation_checks.catalog import MUTATION_CHECKS
from orders.config import variables
from orders.entrypoints.cli.main import main

ROOT = Path(__file__).parents[3]
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


def test_every_setting_is_documented_with_its_default() -> None:
    text = (ROOT / "docs" / "operating.md").read_text()
    for variable in variables():
        default = "none" if variable.default is None else f"`{variable.default}`"
        assert f"| `{variable.name}` | {default} | {variable.meaning}" in text


def test_every_command_is_documented() -> None:
    text = (ROOT / "docs" / "operating.md").read_text()
    for name in main.list_commands(None):  # type: ignore[arg-type]
        assert f"`orders {name}" in text


def test_every_log_event_is_listed_with_its_level() -> None:
    text = (ROOT / "docs" / "operating.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    call = re.compile(r"\blog\.(debug|info|warning|error|exception|critical)\(\s*\"([^\"]+)\"")
    found = {
        (event, "error" if level == "exception" else level)
        for path in (ROOT / "src" / "orders").rglob("*.py")
        for level, event in call.findall(path.read_text().replace("_log.", "log."))
    }
    assert len(found) > 30
    for event, level in found:
        assert any(f"`{event}`" in row and level in row for row in rows), (event, level)


def test_every_listed_log_event_is_logged() -> None:
    _, _, section = (ROOT / "docs" / "operating.md").read_text().partition("\n## The log\n")
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    events = [event for row in rows for event in re.findall(r"`([^`]+)`", row)]
    code = "\n".join(path.read_text() for path in (ROOT / "src" / "orders").rglob("*.py"))
    assert len(events) > 30
    for event in events:
        _, _, of_any_server = event.partition(" ")
        assert f'"{event}"' in code or f' {of_any_server}"' in code, event


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_and_paths_lead_somewhere(document: Path) -> None:
    text = document.read_text()
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
        assert (document.parent / target).exists(), target
    for target, part in re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", text):
        other = (document.parent / target).read_text() if target else text
        titles = re.findall(r"(?m)^#+ (.*)$", other)
        assert part in {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
    for path in re.findall(
        r"`((?:src|tests|deploy|docs|domain|adapters|entrypoints)/[^`*:]+)", text
    ):
        if {"NAME", "PORT"} & set(re.findall(r"[A-Z]+", path)):
            continue  # whatever it will be called
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


def test_decisions_have_one_form_and_are_listed() -> None:
    folder = ROOT / "docs" / "adr"
    table = (folder / "README.md").read_text()
    for path in folder.glob("[0-9]*.md"):
        title, _, text = path.read_text().partition("\n")
        number, _, name = title.removeprefix("# ").partition(". ")
        assert int(number) == int(path.name[:4])
        assert f"| {number} | [{name}]({path.name}) |" in table
        assert re.match(r"\n- Date: \d{4}-\d{2}-\d{2}\n- Status: (accepted|superseded)", text), path
        parts = re.findall(r"(?m)^## (.*)$", text)
        assert parts[:3] == ["Context", "Decision", "Consequences"], path


def test_the_tests_that_show_the_guarantee_exist() -> None:
    text = (ROOT / "docs" / "guarantee.md").read_text()
    named = re.findall(r"`(tests/[^`:]+\.py)?::(?:(\w+)::)?(\w+)`", text)
    assert len(named) > 10
    path = where = ""
    for given, given_class, name in named:
        path, where = (given, given_class) if given else (path, where)
        _assert_there_is(path, where, name)


def test_what_shows_that_an_engine_works_exists() -> None:
    text = (ROOT / "docs" / "scaling.md").read_text()
    rows = text.partition("## What it runs on\n")[2].partition("\n## ")[0].splitlines()
    shown_by = [row.split("|")[3] for row in rows if row.startswith("| ")][2:]
    assert len(shown_by) > 10
    drills = {drill.name for drill in DRILLS}
    for cell in shown_by:
        path = ""
        for name in re.findall(r"`([^`]+)`", cell):
            if name.endswith(".py"):
                path = f"tests/integration/{name}"
                assert (ROOT / path).exists(), path
            elif "-" in name:
                assert any(each.startswith(name) for each in drills), name
            else:
                assert re.search(rf"(class|def) {name}\b", (ROOT / path).read_text()), name


def _assert_there_is(path: str, where: str, name: str) -> None:
    """Pytest would find this test: in the file, or in a contract that its class inherits."""
    text = (ROOT / path).read_text()
    if where:
        assert f"class {where}" in text, f"{path}::{where}"
        text += "".join(map(Path.read_text, (ROOT / "tests" / "contracts").glob("*.py")))
    assert f"def {name}(" in text, f"{path}::{name}"


def test_the_tests_of_the_mutation_checks_exist() -> None:
    for check in MUTATION_CHECKS:
        assert check.present in (ROOT / "src" / "orders" / check.file).read_text(), check.name
        path, *where, name = check.test.split("::")
        _assert_there_is(path, "".join(where), name)
