# ruff: noqa: RUF001 (Russian is meant)
"""The figures that both READMEs show, from docs/bench.json.

`make bench-docs` writes them along with everything else; `python -m bench.readme` writes them
anew from the figures that are there.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench.bare import ASGI, GO, RSGI
from bench.place import ROOT
from bench.plain import PLAIN
from bench.reads import HOT
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
        "orders stored, one a message",
        "запись, по одному заказу в сообщении",
    ),
    Shown(
        "hot",
        "GET of one order, 64 connections",
        "GET of one order, 64 connections",
        "GET одного заказа, 64 соединения",
    ),
    Shown(
        "uniform",
        "GET uniformly over 100,000 orders",
        "GET of any of 100,000 orders",
        "GET любого из 100 000 заказов",
    ),
    Shown(
        "mixed",
        "ingest beside these reads",
        "orders stored while others are read",
        "запись во время чтения",
    ),
    Shown(
        "list",
        "GET /orders, 100,000 orders",
        "the list of all of 100,000 orders",
        "список всех 100 000 заказов",
    ),
    Shown(
        "growth",
        "ingest, 1,000,000 orders",
        "orders stored beside a million others",
        "запись, когда в базе миллион заказов",
    ),
    Shown(
        "arrival",
        "produce to row, median",
        "a lone order, from sending to its row",
        "одиночный заказ, от отправки до строки в базе",
    ),
    Shown(
        "arrival",
        "produce to readable, median",
        "the same, to reading it over HTTP",
        "то же, до чтения по HTTP",
    ),
    Shown(
        "memory",
        "API and consumer, idle",
        "memory of API and consumer, idle",
        "память API и обработчика без нагрузки",
    ),
)
_RUSSIAN = {
    "orders/s": "заказов/с",
    "requests/s": "запросов/с",
    "MB/s": "МБ/с",
    "MB": "МБ",
    "ms": "мс",
    GO: "net/http на Go",
    ASGI: "пустое приложение ASGI",
    RSGI: "пустое приложение RSGI",
    HOT: "GET одного и того же",
    "the same without": "без чтения",
    "10,000 orders": "при 10 000 заказов",
    "of": "×",
    "met": "достигнуто",
    "missed": "не достигнуто",
}


def english(results: Found) -> str:
    """The table for README.md, with how many targets are met in all."""
    head = ("", "orders", "", "plain Python service", GO, "limit", "target", "")
    met, missed = _counts(results)
    return _table(
        [head, *((shown.english, *_cells(each)) for shown, each in chosen(results))],
        "In brackets: ours divided by theirs. "
        f"Of {met + missed} targets {met} are met and {missed} missed: [all of them, and what the "
        "missed ones would take](docs/performance.md).",
    )


def russian(results: Found) -> str:
    """The same for README.ru.md."""
    head = ("", "orders", "", "обычный сервис на Python", _RUSSIAN[GO], "предел", "цель", "")
    met, missed = _counts(results)
    return _table(
        [head, *((shown.russian, *_cells(each, _russian)) for shown, each in chosen(results))],
        "В скобках: наше значение, делённое на чужое. "
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


def chosen(results: Found) -> list[tuple[Shown, list[Found]]]:
    """The figures that are shown, as far as they were measured: one for each that it is beside."""
    found = [
        (
            shown,
            [
                figure
                for figure in results["figures"]
                if (figure["row"], figure["what"]) == (shown.row, shown.what)
            ],
        )
        for shown in SHOWN
    ]
    return [(shown, figures) for shown, figures in found if figures]


def _cells(figures: Sequence[Found], say: Callable[[str], str] = str) -> list[str]:
    """The product, the peers, the limit by its name, the target."""
    beside = {figure["beside"]: figure for figure in figures if figure["beside"]}
    peers = [_beside(beside.pop(name)) if name in beside else "" for name in (PLAIN, GO)]
    limit = next((f"{say(name)}: {say(_beside(each))}" for name, each in beside.items()), "")
    target, met = "", ""
    for figure in figures:
        if figure["met"] is not None:
            of = f" {say('of')} {say(figure['beside'])}" if figure["beside"] else ""
            target, met = f"{say(figure['target'])}{of}", "met" if figure["met"] else "missed"
    first = figures[0]
    ours = say(number(first["median"]))
    return [ours, say(first["unit"]), *map(say, peers), limit, target, say(met)]


def _beside(figure: Found) -> str:
    ratio = figure["ratio"]
    return f"{number(figure['limit_median'])} ({ratio:.{2 if ratio < 10 else 0}f})"


def _counts(results: Found) -> tuple[int, int]:
    verdicts = [figure["met"] for figure in results["figures"]]
    return verdicts.count(True), verdicts.count(False)


def _russian(text: str) -> str:
    """The word; or a number as it is written in Russian.

    That is with a space between thousands, and a comma before parts.
    """
    return _RUSSIAN.get(text) or text.replace(",", "\u00a0").replace(".", ",")


def _table(rows: Sequence[Sequence[str]], end: str) -> str:
    head, *others = ("| " + " | ".join(cells) + " |" for cells in rows)
    line = "| --- | ---: | --- | ---: | ---: | ---: | ---: | --- |"
    return "\n".join([head, line, *others, "", end])


if __name__ == "__main__":
    write(json.loads((ROOT / "docs" / "bench.json").read_bytes()))
