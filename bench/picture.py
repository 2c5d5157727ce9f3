"""The picture of a run: how far each figure is from its target.

Written by hand: it is bars and words, and a plotting library with all that it brings would be the
largest dependency of this project.
"""

from collections.abc import Sequence
from xml.sax.saxutils import escape

from bench.figures import Figure
from bench.report import number

_WIDTH, _LABEL, _BAR, _LINE = 940, 400, 380, 22
_TOP = 58
_MOST = 2.0
_STYLE = """
  svg { font: 12px system-ui, sans-serif; }
  .ground { fill: #ffffff; } text { fill: #1f2328; } .faint { fill: #59636e; }
  .met { fill: #2da44e; } .missed { fill: #cf222e; } .aim { stroke: #1f2328; }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117; } text { fill: #f0f6fc; } .faint { fill: #9198a1; }
    .met { fill: #3fb950; } .missed { fill: #f85149; } .aim { stroke: #f0f6fc; }
  }
"""


def svg(figures: Sequence[Figure]) -> str:
    """A bar for each figure that has a target; where the line is, it is just met.

    A bar that would be longer than twice that is cut there.
    """
    shown = [figure for figure in figures if figure.target]
    height = _TOP + _LINE * len(shown) + 12
    aim = _LABEL + _BAR / _MOST
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">',
        "<title>The product against its targets</title>",
        f"<style>{_STYLE}</style>",
        f'<rect class="ground" width="{_WIDTH}" height="{height}"/>',
        f'<text x="12" y="22" font-size="15" font-weight="600">{_heading(shown)}</text>',
        f'<text class="faint" x="{aim:g}" y="{_TOP - 10}" text-anchor="middle">target</text>',
    ]
    for at, figure in enumerate(shown):
        lines += _bar(figure, _TOP + _LINE * at)
    lines += [
        f'<path class="aim" d="M{aim:g} {_TOP - 4}V{height - 8}" stroke-dasharray="3 3"/>',
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _heading(shown: Sequence[Figure]) -> str:
    met = sum(bool(figure.is_met) for figure in shown)
    return f"{met} of {len(shown)} targets met: longer is better"


def _bar(figure: Figure, top: int) -> list[str]:
    assert figure.target is not None, "only those are shown"
    width = _BAR * min(figure.target.score(figure.judged), _MOST) / _MOST
    kind = "met" if figure.is_met else "missed"
    judged = f"{number(figure.judged)}" + ("" if figure.ratio is not None else f" {figure.unit}")
    label = f"{judged} ({figure.target})"
    middle = top + 14
    label = escape(f"{figure.row}: {figure.what}")
    return [
        f'<text x="{_LABEL - 8}" y="{middle}" text-anchor="end">{label}</text>',
        f'<rect class="{kind}" x="{_LABEL}" y="{top + 3}" width="{width:.1f}" height="14" rx="2"/>',
        f'<text class="faint" x="{_LABEL + _BAR + 8}" y="{middle}">{escape(label)}</text>',
    ]
