"""Every command that a document names is one that there is."""

import re
from importlib.util import find_spec
from pathlib import Path

import click
import pytest

from orders.entrypoints.cli.main import main
from tests.commands import DOCUMENTS, NOT_RUN, ROOT, commands, spans, words

MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
VARIABLES = set(re.findall(r"^([A-Z]+) \?=", MAKEFILE, re.MULTILINE)) | {"DRILL"}


def check(found: list[str]) -> None:
    """Asserts that ``make`` or ``orders`` knows all of it."""
    if found[0] == "make":
        for word in found[1:]:
            name, is_variable, _ = word.partition("=")
            assert name in (VARIABLES if is_variable else TARGETS), found
    elif found[0] == "orders":
        _check_orders(found[1:])
    elif found[:2] == ["python", "-m"]:
        assert find_spec(found[2]) is not None, found
        assert all((ROOT / word).exists() for word in found if word.startswith("tests/")), found


def _check_orders(given: list[str]) -> None:
    command: click.Command = main
    rest = list(given)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        name = rest.pop(0).rstrip(",")
        found = command.get_command(click.Context(command), name)
        assert found is not None, given
        command = found
    context = click.Context(command, help_option_names=["-h", "--help"])
    known = {option for parameter in command.get_params(context) for option in parameter.opts}
    options = {word.partition("=")[0] for word in rest if word.startswith("-") and word != "-"}
    assert options <= known, given


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_in_blocks_are_known(document: Path) -> None:
    for command in commands(document):
        if not command.is_python:
            check(words(command))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_in_the_text_are_known(document: Path) -> None:
    for found in spans(document):
        check(found)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_no_block_is_of_a_kind_that_nobody_looks_at(document: Path) -> None:
    fences = re.findall(r"(?m)^```(.*)$", document.read_text("utf-8"))
    assert set(fences[::2]) <= {"sh", "console", "python", "mermaid", "text"}
    assert set(fences[1::2]) <= {""}


def test_there_are_commands() -> None:
    assert sum(len(commands(document)) for document in DOCUMENTS) > 30
    assert sum(len(list(spans(document))) for document in DOCUMENTS) > 30


@pytest.mark.parametrize(
    "wrong",
    [
        ["make", "tea"],
        ["make", "unit", "UNITS=x"],
        ["orders", "brew"],
        ["orders", "dlq", "brew"],
        ["orders", "dlq", "list", "--hot"],
        ["python", "-m", "tests.tea"],
        ["python", "-m", "pytest", "tests/tea"],
    ],
    ids=" ".join,
)
def test_what_there_is_not_would_be_found(wrong: list[str]) -> None:
    with pytest.raises(AssertionError):
        check(wrong)


def test_what_is_not_run_is_in_a_document_and_something_runs_instead() -> None:
    given = [command for document in DOCUMENTS for command in commands(document)]
    for entry in NOT_RUN:
        assert entry.reason
        assert (ROOT / entry.instead).exists(), entry.instead
        assert any(command.not_run is entry for command in given), entry.beginning
