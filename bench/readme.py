# ruff: noqa: RUF001 (Russian is meant)
"""The figures that both READMEs show, from docs/bench.json.

`make bench-docs` writes them along with everything else; `python -m bench.readme` writes them
anew from the figures that are there.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench.place import ROOT
from bench.report import between_marks, number

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"

Found = Mapping[str, Any]


class Shown(NamedTuple):
    """A figure by its row and what was measured, and how it is called."""

    row: str
    what: str
    english: str
    russian: str


SHOWN = (
    Shown(
        "ingest",
        "one order a message",
        "orders stored, one a message, beside `COPY` of the same rows inside PostgreSQL",
        "запись, по одному заказу в сообщении; предел: `COPY` тех же строк внутри PostgreSQL",
    ),
    Shown(
        "ingest",
        "arrays of 100",
        "the same, in arrays of 100",
        "то же, массивами по 100 заказов",
    ),
    Shown(
        "hot",
        "GET of one order, 64 connections",
        "GET of one order, 64 connections, beside a bare ASGI application",
        "GET одного заказа, 64 соединения; предел: пустое приложение ASGI",
    ),
    Shown(
        "uniform",
        "GET uniformly over 5,000 orders",
        "GET of any of 5,000 orders, beside pgbench with the same query",
        "GET любого из 5 000 заказов; предел: pgbench с тем же запросом",
    ),
    Shown(
        "uniform",
        "GET uniformly over 100,000 orders",
        "GET of any of 100,000 orders, beside the same",
        "GET любого из 100 000 заказов; предел тот же",
    ),
    Shown(
        "missing",
        "GET of 5,000 orders that are not there",
        "GET of orders that are not there, beside a GET of one that is",
        "GET заказов, которых нет; предел: GET существующего заказа",
    ),
    Shown(
        "list",
        "GET /orders, 100,000 orders",
        "the list of all of 100,000 orders, beside `COPY TO STDOUT`",
        "список всех 100 000 заказов; предел: `COPY TO STDOUT`",
    ),
    Shown(
        "growth",
        "ingest, 1,000,000 orders",
        "orders stored beside a million others, and beside ten thousand",
        "запись, когда в базе миллион заказов; предел: она же при десяти тысячах",
    ),
    Shown(
        "arrival",
        "produce to readable, median",
        "from sending to reading over HTTP, median",
        "от отправки до чтения по HTTP, медиана",
    ),
)
_UNITS = {
    "orders/s": "заказов/с",
    "requests/s": "запросов/с",
    "MB/s": "МБ/с",
    "ms": "мс",
}


def english(results: Found) -> str:
    """The table for README.md, with how many targets are met in all."""
    head = ("", "limit", "orders", "", "ratio", "target", "")
    rows = [
        (shown.english, *_numbers(figure), figure["unit"], *_judged(figure, "met", "missed"))
        for shown, figure in chosen(results)
    ]
    met, missed = _counts(results)
    return _table(
        [head, *rows],
        f"Of {met + missed} targets {met} are met and {missed} missed: [all of them, and what the "
        "missed ones would take](docs/performance.md).",
    )


def russian(results: Found) -> str:
    """The same for README.ru.md."""
    head = ("", "предел", "orders", "", "отношение", "цель", "")
    rows = [
        (
            shown.russian,
            *map(_russian, _numbers(figure)),
            _UNITS[figure["unit"]],
            *map(_russian, _judged(figure, "достигнуто", "не достигнуто")),
        )
        for shown, figure in chosen(results)
    ]
    met, missed = _counts(results)
    return _table(
        [head, *rows],
        f"Целей всего {met + missed}: достигнуто {met}, не достигнуто {missed}. "
        "[Полный список и что нужно, чтобы достичь остальных](docs/performance.md).",
    )


README = {"README.md": english, "README.ru.md": russian}


def write(results: Found, root: Path = ROOT) -> None:
    """Put the figures into both READMEs."""
    for name, table in README.items():
        page = root / name
        text = between_marks(page.read_text("utf-8"), table(results), BEGIN, END)
        page.write_text(text, "utf-8")


def chosen(results: Found) -> list[tuple[Shown, Found]]:
    """The figures that are shown, as far as they were measured."""
    by_name = {(figure["row"], figure["what"]): figure for figure in results["figures"]}
    return [
        (shown, by_name[shown.row, shown.what])
        for shown in SHOWN
        if (shown.row, shown.what) in by_name
    ]


def _numbers(figure: Found) -> tuple[str, str]:
    return number(figure["limit_median"]), number(figure["median"])


def _judged(figure: Found, met: str, missed: str) -> tuple[str, str, str]:
    ratio = "" if figure["ratio"] is None else f"{figure['ratio']:.2f}"
    verdict = "" if figure["met"] is None else met if figure["met"] else missed
    return ratio, figure["target"] or "", verdict


def _counts(results: Found) -> tuple[int, int]:
    verdicts = [figure["met"] for figure in results["figures"]]
    return verdicts.count(True), verdicts.count(False)


def _russian(text: str) -> str:
    """A number as it is written in Russian: a space between thousands, a comma before parts."""
    return text.replace(",", "\u00a0").replace(".", ",")


def _table(rows: Sequence[Sequence[str]], end: str) -> str:
    head, *others = ("| " + " | ".join(cells) + " |" for cells in rows)
    line = "| --- | ---: | ---: | --- | ---: | ---: | --- |"
    return "\n".join([head, line, *others, "", end])


if __name__ == "__main__":
    write(json.loads((ROOT / "docs" / "bench.json").read_bytes()))
