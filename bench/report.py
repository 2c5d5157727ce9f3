"""What came out: a table for a terminal, one for a page, and JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE
from rich.table import Table

from bench.figures import Figure

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"
_HEAD = ("", "what", "product", "unit", "beside", "", "ratio", "target", "")
_NUMBERS = (2, 5, 6, 7)


def grouped(figures: Sequence[Figure]) -> list[Figure]:
    """Those of one row together, whichever part of the bench they came from."""
    rows = list(dict.fromkeys(figure.row for figure in figures))
    return sorted(figures, key=lambda figure: rows.index(figure.row))


def number(value: float | None) -> str:
    """Three digits that count, or whole numbers with commas."""
    if value is None:
        return ""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def table(figures: Sequence[Figure]) -> Table:
    """For a terminal."""
    made = Table(box=SIMPLE, padding=(0, 1, 0, 0), title="The product and what it stands beside")
    for at, name in enumerate(_HEAD):
        made.add_column(name, justify="right" if at in _NUMBERS else "left", no_wrap=at != 1)
    colours = {True: "green", False: "bold red", None: "dim"}
    for at, (figure, cells) in enumerate(zip(figures, _lines(figures), strict=True)):
        if at and cells[0]:
            made.add_section()
        made.add_row(*cells[:-1], f"[{colours[figure.is_met]}]{cells[-1]}[/]")
    return made


def markdown(
    figures: Sequence[Figure], about: Mapping[str, Any], picture: str = "", samples: str = ""
) -> str:
    """For a page, with the picture and a link to all samples where it can see those files."""
    machine = about["machine"]
    versions = ", ".join(
        f"{name} {machine[name]}" for name in ("python", "postgresql", "valkey", "kafka", "granian")
    )
    lines = [
        f"{machine['cores']} cores ({machine['processor']}), {machine['memory_gib']:g} GiB, "
        f"{machine['system']}; {versions}; {about['minutes']:.0f} minutes"
        + ("; sizes of `make bench-quick`." if about["quick"] else "."),
        *(f"Without {name}: {reason}." for name, reason in about.get("skipped", {}).items()),
        "",
        _line(_HEAD),
        _line(["---:" if at in _NUMBERS else "---" for at in range(len(_HEAD))]),
        *map(_line, _lines(figures)),
        *(["", f"![The product against its targets]({picture})"] if picture else []),
        *(["", f"All samples are in [{samples}]({samples})."] if samples else []),
        "",
        *dict.fromkeys(
            f"- {figure.row}, {figure.what}: {figure.note}." for figure in figures if figure.note
        ),
    ]
    return "\n".join(lines) + "\n"


def between_marks(page: str, text: str, begin: str = BEGIN, end: str = END) -> str:
    """The page with this text between its two marks, instead of what was there.

    Raises:
        ValueError: the marks are not there.
    """
    before, found_begin, rest = page.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise ValueError(f"no {begin} and {end}")
    return f"{before}{begin}\n{text.rstrip()}\n{end}{after}"


def as_json(figures: Sequence[Figure], about: Mapping[str, Any]) -> dict[str, Any]:
    """For programs: all samples, and what was made of them."""
    return {
        **about,
        "figures": [
            {
                "row": figure.row,
                "what": figure.what,
                "unit": figure.unit,
                "product": list(figure.product),
                "limit": list(figure.limit.samples) if figure.limit else [],
                "beside": figure.limit.name if figure.limit else "",
                "allowance": figure.allowance,
                "median": figure.value,
                "limit_median": figure.limit_value,
                "ratio": figure.ratio,
                "target": str(figure.target) if figure.target else None,
                "met": figure.is_met,
                "note": figure.note,
            }
            for figure in figures
        ],
    }


def _lines(figures: Sequence[Figure]) -> list[list[str]]:
    """The cells of each; what is the same as in the line before is left out."""
    lines = []
    row = what = ""
    for figure in figures:
        met = {True: "met", False: "missed", None: ""}[figure.is_met]
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
        target = "" if figure.target is None else str(figure.target)
        beside = figure.limit.name if figure.limit else ""
        named = [figure.row if figure.row != row else ""]
        named += (
            ["", "", ""]
            if (figure.row, figure.what) == (row, what)
            else [figure.what, number(figure.value), figure.unit]
        )
        lines.append([*named, beside, number(figure.limit_value), ratio, target, met])
        row, what = figure.row, figure.what
    return lines


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
