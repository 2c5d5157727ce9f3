"""The commands in README and docs: where they stand, and which of them no test can run."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
DOCUMENTS = (ROOT / "README.md", ROOT / "README.ru.md", *sorted((ROOT / "docs").glob("*.md")))

_BLOCK = re.compile(r"^```(sh|console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"(?<!`)`(?!`)((?:make|orders|python -m) [^`]+)`")


class NotRun(NamedTuple):
    """Commands that begin like this are not run, why, and what is run instead."""

    beginning: str
    reason: str
    instead: str


NOT_RUN = (
    NotRun("make run", "goes on until stopped", "tests/integration/dev/test_dev_command.py"),
    NotRun("make test", "runs this very test", ".ci/run"),
    NotRun("make unit", "is a part of make test", ".ci/run"),
    NotRun("make properties", "is a part of make test", ".ci/run"),
    NotRun("make integration", "is a part of make test", ".ci/run"),
    NotRun("make check", "goes before make test", ".ci/run"),
    NotRun("make coverage", "runs all tests once more", ".ci/run"),
    NotRun(
        "make drill", "takes half an hour", "tests/integration/drills/test_crashes_and_postgres.py"
    ),
    NotRun("make bench", "measures, for minutes", "tests/unit/bench/test_report.py"),
    NotRun(
        "docker compose",
        "needs a Docker engine and pulls images",
        "tests/unit/project/test_deployment.py",
    ),
    NotRun(
        "kafka-consumer-groups.sh",
        "comes with Apache Kafka, not with this",
        "drills/group_offsets.py",
    ),
    NotRun(
        "kafka-topics.sh",
        "comes with Apache Kafka, not with this",
        "tests/integration/kafka/test_assignment.py",
    ),
    NotRun("orders api", "goes on until stopped", "tests/integration/system/processes.py"),
    NotRun("orders consumer", "goes on until stopped", "tests/integration/system/processes.py"),
)


class Command(NamedTuple):
    """One command with the comment behind it, or a whole piece of Python with the comments in it.

    ``output`` is what a ``console`` block shows of it.
    """

    text: str
    comment: str = ""
    output: tuple[str, ...] = ()
    is_python: bool = False

    @property
    def not_run(self) -> NotRun | None:
        """Why it is not run, if it is not."""
        return next((entry for entry in NOT_RUN if self.text.startswith(entry.beginning)), None)


def commands(document: Path) -> list[Command]:
    """All commands in the blocks of a document, in order."""
    found: list[Command] = []
    for kind, text in _BLOCK.findall(document.read_text("utf-8")):
        if kind == "python":
            found.append(Command(text, is_python=True))
        elif kind == "sh":
            found += map(_command, text.replace("\\\n", " ").splitlines())
        else:
            found += _shown(text)
    return [command for command in found if command.text]


def spans(document: Path) -> Iterator[list[str]]:
    """Commands in the text, as words."""
    for text in _SPAN.findall(document.read_text("utf-8")):
        yield shlex.split(" ".join(text.split()))


def words(command: Command) -> list[str]:
    """The words of a command for a shell, without what sets variables for it."""
    found = shlex.split(command.text)
    while found and re.match(r"[A-Z_]+=", found[0]):
        found.pop(0)
    return [found[0].removeprefix(".venv/bin/"), *found[1:]]


def _command(line: str) -> Command:
    text, _, comment = re.sub(r"\s+#\s", "\0", line, count=1).partition("\0")
    return Command(" ".join(text.split()) if "'" not in text else text.strip(), comment.strip())


def _shown(text: str) -> list[Command]:
    found = []
    for piece in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        line, *output = piece.splitlines()
        found.append(Command(line.strip(), output=tuple(filter(str.strip, output))))
    return found
