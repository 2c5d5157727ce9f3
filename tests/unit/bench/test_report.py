"""The report shows the results as they are."""

import json
import xml.etree.ElementTree as ET
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from bench.figures import Figure, Limit, Target
from bench.picture import svg
from bench.report import BEGIN, END, as_json, between_marks, grouped, markdown, number, table

FIGURES = [
    Figure("hot", "GET & go", "requests/s", [8_000.0], Limit([10_000.0], "it"), target=Target(0.8)),
    Figure("hot", "GET & go", "requests/s", [8_000.0], Limit([2_000.0], "another")),
    Figure("hot", "p99", "ms", [31.0], target=Target(most=20), note="a note"),
    Figure("scaling", "two", "orders/s", [3.0], Limit([2.0], "one")),
]
ABOUT: dict[str, Any] = {
    "quick": False,
    "minutes": 12.3,
    "machine": {
        "cores": 2,
        "processor": "some",
        "memory_gib": 24.0,
        "system": "Linux",
        "python": "3.11",
        "postgresql": "18",
        "valkey": "9",
        "kafka": "4",
        "granian": "2",
    },
}


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (0.1234, "0.123"), (12.34, "12.3"), (123.4, "123"), (12_345.6, "12,346")],
)
def test_numbers_are_as_exact_as_they_are(value: float | None, text: str) -> None:
    assert number(value) == text


def test_the_table_shows_met_and_missed_targets() -> None:
    console = Console(width=150, record=True, file=StringIO())
    console.print(table(FIGURES))
    lines = console.export_text().splitlines()
    assert next(line for line in lines if "GET & go" in line).split()[-4:] == [
        "0.80",
        "≥",
        "0.8",
        "met",
    ]
    assert next(line for line in lines if "p99" in line).split()[-1] == "missed"
    assert next(line for line in lines if "two" in line).split()[-1] == "1.50"


def test_figures_of_one_row_stand_together() -> None:
    first, *others, last = FIGURES
    assert grouped([first, last, *others]) == FIGURES


def test_the_page_holds_a_row_for_each_figure_and_its_note() -> None:
    text = markdown(FIGURES, ABOUT)
    assert "| hot | GET & go | 8,000 | requests/s | it | 10,000 | 0.80 | ≥ 0.8 | met |" in text
    assert "|  |  |  |  | another | 2,000 | 4.00 |  |  |" in text
    assert "| scaling | two | 3 | orders/s | one | 2 | 1.50 |  |  |" in text
    assert "- hot, p99: a note." in text
    assert "2 cores (some), 24 GiB" in text
    assert "](" not in text
    assert "Without" not in text


def test_the_page_says_what_was_left_out() -> None:
    text = markdown(FIGURES, ABOUT | {"skipped": {"net/http in Go": "there is no Go toolchain"}})
    assert "Without net/http in Go: there is no Go toolchain." in text


def test_the_page_shows_the_picture_that_lies_beside_it() -> None:
    text = markdown(FIGURES, ABOUT, "bench.svg", "bench.json")
    assert "(bench.svg)" in text
    assert "[bench.json](bench.json)" in text


def test_a_page_keeps_what_stands_around_the_table() -> None:
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert between_marks(page, "new\n") == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    with pytest.raises(ValueError, match="bench: begin"):
        between_marks("a page without marks", "new")


def test_json_holds_all_samples() -> None:
    found = json.loads(json.dumps(as_json(FIGURES, ABOUT)))
    assert found["machine"]["cores"] == 2
    first, _, second, _ = found["figures"]
    assert (first["product"], first["limit"], first["ratio"]) == ([8_000.0], [10_000.0], 0.8)
    assert first["met"] is True
    assert (second["limit"], second["ratio"], second["met"]) == ([], None, False)


def test_the_picture_has_a_bar_for_each_target() -> None:
    picture = svg(FIGURES)
    root = ET.fromstring(picture)
    name = "{http://www.w3.org/2000/svg}"
    bars = [bar for bar in root.iter(f"{name}rect") if bar.get("class") in {"met", "missed"}]
    assert [bar.get("class") for bar in bars] == ["met", "missed"]
    met, missed = (float(str(bar.get("width"))) for bar in bars)
    assert met > missed
    texts = [text.text for text in root.iter(f"{name}text")]
    assert "hot: GET & go" in texts
    assert "1 of 2 targets met: longer is better" in texts
    assert "prefers-color-scheme: dark" in picture
