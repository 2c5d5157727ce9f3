"""What came out: a table for a terminal, one for a page, and JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE
from rich.table import Table

from bench.figures import Figure

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"
_HEAD = ("", "what", "limit", "product", "unit", "ratio", "target", "")


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
    made = Table(box=SIMPLE, padding=(0, 1, 0, 0), title="The product beside its limits")
    for name in _HEAD:
        right = name in {"limit", "product", "ratio", "target"}
        made.add_column(name, justify="right" if right else "left", no_wrap=name != "what")
    colours = {True: "green", False: "bold red", None: "dim"}
    row = ""
    for figure in figures:
        if row and figure.row != row:
            made.add_section()
        cells = _cells(figure)
        colour = colours[figure.is_met]
        made.add_row(
            "" if figure.row == row else cells[0], *cells[1:-1], f"[{colour}]{cells[-1]}[/]"
        )
        row = figure.row
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
        "",
        _line(_HEAD),
        _line(["---", "---", "---:", "---:", "---", "---:", "---:", "---"]),
        *(_line(_cells(figure)) for figure in figures),
        *(["", f"![The product against its targets]({picture})"] if picture else []),
        *(["", f"All samples are in [{samples}]({samples})."] if samples else []),
        "",
        "Beside what each of them stands, and what one must know:",
        "",
        *(
            f"- {figure.row}, {figure.what}: {note}."
            for figure in figures
            if (note := notes(figure))
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


def notes(figure: Figure) -> str:
    """Beside what it stands, and what one must know to read it."""
    beside = f"beside {figure.limit.name}" if figure.limit else ""
    return "; ".join(filter(None, (beside, figure.note)))


def _cells(figure: Figure) -> list[str]:
    met = {True: "met", False: "missed", None: ""}[figure.is_met]
    ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
    target = "" if figure.target is None else str(figure.target)
    numbers = number(figure.limit_value), number(figure.value)
    return [figure.row, figure.what, *numbers, figure.unit, ratio, target, met]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
