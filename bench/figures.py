"""Figures, the limits beside them, and whether a target is met."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from statistics import median
from typing import NamedTuple


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` (0 to 1) of all are not above; needs no order.

    Raises:
        ValueError: there are none.
    """
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    rank = -int(-share * len(ordered) // 1)  # rounded up
    return ordered[min(max(rank, 1), len(ordered)) - 1]


@dataclass(frozen=True)
class Target:
    """``least`` or ``most`` that a ratio, or a figure without a limit, may be."""

    least: float | None = None
    most: float | None = None

    def is_met(self, value: float) -> bool:
        """Whether it is."""
        return (self.least is None or value >= self.least) and (
            self.most is None or value <= self.most
        )

    def score(self, value: float) -> float:
        """1 where it is just met, more where it is exceeded, less where it is missed."""
        if self.least is not None:
            return value / self.least
        assert self.most is not None, "a target has one bound"
        return self.most / value if value > 0 else float("inf")

    def __str__(self) -> str:
        return f"≥ {self.least:g}" if self.least is not None else f"≤ {self.most:g}"


class Limit(NamedTuple):
    """What a figure stands beside: samples, each taken right beside its fellow, and what it is."""

    samples: Sequence[float]
    name: str


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Attributes:
        row: the part of the bench that it comes from.
        what: what was measured.
        unit: of ``product`` and ``limit``.
        product: the samples, in the order in which they were taken.
        limit: what it is held against; none for a bare figure.
        target: of the ratio, or of the figure where there is no limit; none: only to be known.
        allowance: taken off the product's figure before it is held against the limit.
        note: what one must know to read it.
    """

    row: str
    what: str
    unit: str
    product: Sequence[float]
    limit: Limit | None = None
    _: KW_ONLY
    target: Target | None = None
    allowance: float = 0.0
    note: str = ""

    @property
    def value(self) -> float:
        """The product's median."""
        return median(self.product)

    @property
    def limit_value(self) -> float | None:
        """The limit's median."""
        return median(self.limit.samples) if self.limit else None

    @property
    def ratio(self) -> float | None:
        """The median of the ratios of the pairs: what slows both down for a while is not in it.

        The figure's own unit over the limit's.
        """
        if not self.limit:
            return None
        pairs = zip(self.product, self.limit.samples, strict=True)
        return median((ours - self.allowance) / theirs for ours, theirs in pairs)

    @property
    def judged(self) -> float:
        """What is held against the target."""
        return self.value if self.ratio is None else self.ratio

    @property
    def is_met(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        return None if self.target is None else self.target.is_met(self.judged)
