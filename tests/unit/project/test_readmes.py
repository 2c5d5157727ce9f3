"""The two READMEs say the same, in two languages, and the figures in them are those measured."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from bench import readme
from bench.bare import GO
from bench.plain import PLAIN
from bench.report import between_marks
from tests.commands import ROOT

ENGLISH, RUSSIAN = ((ROOT / name).read_text("utf-8") for name in ("README.md", "README.ru.md"))
RESULTS = json.loads((ROOT / "docs" / "bench.json").read_bytes())
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(text: str) -> list[tuple[str, str]]:
    """All blocks, without the comments in a shell, which are written for people."""
    found: list[tuple[str, str]] = []
    for kind, body in _BLOCK.findall(text):
        if kind == "sh":
            found.append((kind, re.sub(r"(?m)\s+#(\s\d{3}:)?.*$", r" #\1", body)))
        else:
            found.append((kind, body))
    return found


def prose(text: str) -> str:
    """The text without blocks and measured figures, numbers written in one way."""
    text = between_marks(_BLOCK.sub("", text), "", readme.BEGIN, readme.END)
    return re.sub(r"(?<=\d)[\u00a0, ](?=\d{3})", "", text)


def test_they_have_the_same_parts() -> None:
    levels = [re.findall(r"(?m)^#+(?= )", _BLOCK.sub("", text)) for text in (ENGLISH, RUSSIAN)]
    assert levels[0] == levels[1]
    assert len(levels[0]) == 5


def test_they_have_the_same_blocks() -> None:
    assert blocks(ENGLISH) == blocks(RUSSIAN)
    assert [kind for kind, _ in blocks(ENGLISH)] == ["sh", "sh", "sh", "python", "sh"]


def test_they_have_the_same_figures_links_and_names() -> None:
    for pattern in (r"\d+", r"\]\(([^)]+)\)", r"`[^`]+`"):
        here, there = (Counter(re.findall(pattern, prose(text))) for text in (ENGLISH, RUSSIAN))
        # Each links to the other besides.
        assert here - Counter(["README.ru.md"]) == there - Counter(["README.md"])
        assert sum(here.values()) > 10
    rows = [len(re.findall(r"(?m)^\|.*\|$", prose(text))) for text in (ENGLISH, RUSSIAN)]
    assert rows[0] == rows[1] > 5


def test_the_animated_picture_is_small() -> None:
    picture = (ROOT / "docs" / "arriving.png").read_bytes()
    assert picture.count(b"fcTL") > 5  # frames
    assert len(picture) < 500_000


def test_they_fit_on_two_screens() -> None:
    for text in (ENGLISH, RUSSIAN):
        assert len(text.splitlines()) <= 100


def test_all_figures_that_are_shown_were_measured() -> None:
    assert len(readme.chosen(RESULTS)) == len(readme.SHOWN)


def test_the_figures_are_those_measured() -> None:
    for text, table in ((ENGLISH, readme.english), (RUSSIAN, readme.russian)):
        assert between_marks(text, table(RESULTS), readme.BEGIN, readme.END) == text


def test_they_are_written_anew(tmp_path: Path) -> None:
    for name, text in (("README.md", ENGLISH), ("README.ru.md", RUSSIAN)):
        emptied = between_marks(text, "old figures", readme.BEGIN, readme.END)
        (tmp_path / name).write_text(emptied, "utf-8")
    readme.write(RESULTS, tmp_path)
    assert (tmp_path / "README.md").read_text("utf-8") == ENGLISH
    assert (tmp_path / "README.ru.md").read_text("utf-8") == RUSSIAN


def test_tables_tell_each_figure_as_it_is() -> None:
    arrival: dict[str, Any] = {
        "row": "arrival",
        "what": "produce to readable, median",
        "unit": "ms",
    }
    arrival |= {"median": 1234.5, "target": None, "met": None}
    figures = {
        "figures": [
            arrival | {"beside": "", "target": "≤ 0.8", "met": False},
            arrival | {"beside": PLAIN, "limit_median": 2469, "ratio": 0.5},
            {"row": "other", "what": "not shown", "met": True},
        ]
    }
    cells = "| 1,234 | ms | 2,469 (0.50) |  |  | ≤ 0.8 | missed |"
    assert cells in readme.english(figures)
    cells = "| 1\u00a0234 | мс | 2\u00a0469 (0,50) |  |  | ≤ 0,8 | не достигнуто |"
    assert cells in readme.russian(figures)
    assert "Of 2 targets 1 are met and 1 missed" in readme.english(figures)


def test_a_target_stands_with_what_it_is_held_against() -> None:
    hot: dict[str, Any] = {
        "row": "hot",
        "what": "GET of one order, 64 connections",
        "unit": "requests/s",
    }
    hot |= {"median": 9_000, "target": None, "met": None}
    figures = {
        "figures": [
            hot | {"beside": GO, "limit_median": 6e3, "ratio": 1.5, "target": "≥ 1", "met": True},
            hot | {"beside": "bare RSGI", "limit_median": 9e3, "ratio": 1.0},
            hot | {"beside": "bare ASGI", "limit_median": 8e3, "ratio": 1.12},
        ]
    }
    cells = f"|  | 6,000 (1.50) | bare RSGI: 9,000 (1.00) | ≥ 1 of {GO} | met |"
    assert cells in readme.english(figures)


def test_the_drills_are_those_that_were_run() -> None:
    (total,) = re.findall(r"(?m)^\|\s+\| all \|.*$", (ROOT / "docs" / "drills.md").read_text())
    sent, *_, lost, half, doubled, untrue, _seconds = (
        cell.strip() for cell in total.strip("|").split("|")[2:]
    )
    told = f"{sent} documents were sent: {lost} lost, {half} half stored, {doubled} doubled"
    assert told in ENGLISH
    assert untrue == "0"
