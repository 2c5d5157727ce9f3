"""Content negotiation by Accept and Accept-Language (RFC 9110, section 12.5)."""

import re
from collections.abc import Iterable, Sequence

from orders.entrypoints.http.problems import NOT_ACCEPTABLE, HTTPProblem
from orders.entrypoints.http.responses import Header, header_values

_LONGEST = 400
"""Characters. A longer header counts as none: 32 KiB of ranges would take the processor for 16 ms,
from whoever shows no key as well, and browsers send some 150."""
_QUALITY = re.compile(r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")


def preferred(accept: str | None, offers: Sequence[str]) -> str | None:
    """Return the offered media type with the highest quality, or None if none is acceptable.

    Args:
        accept: the value of Accept; None or an empty value accepts everything.
        offers: media types; of equal ones the first wins.
    """
    ranges = _ranges(accept or "")
    if not ranges:
        return offers[0]
    best = max(offers, key=lambda offer: _quality(offer, ranges))
    return best if _quality(best, ranges) > 0 else None


def acceptable(headers: Iterable[Header], offers: Sequence[str]) -> str:
    """Return the offered media type that a request prefers.

    Raises:
        HTTPProblem: none is acceptable.
    """
    accept = b",".join(header_values(headers, b"accept")).decode("latin-1")
    chosen = preferred(accept, offers)
    if chosen is None:
        raise HTTPProblem(NOT_ACCEPTABLE, "offered: " + " and ".join(offers))
    return chosen


def preferred_language(accept_language: str, offers: Sequence[str]) -> str | None:
    """Return the offered language with the highest quality, or None if none matches.

    A range matches the language it begins with: a client that prefers ``en-GB`` gets ``en``.

    Args:
        accept_language: the value of Accept-Language.
        offers: primary subtags in lower case; the first is the answer to ``*``.
    """
    ranges = _ranges(accept_language)
    wanted = sorted(ranges, key=lambda one: -one[1])  # keeps the order of equals
    named = {language.partition("-")[0] for language, _ in ranges}
    for language, quality in wanted:
        if quality > 0:
            covered = [
                offer
                for offer in offers
                if language.partition("-")[0] == offer or (language == "*" and offer not in named)
            ]
            if covered:
                return covered[0]
    return None


def _ranges(header: str) -> list[tuple[str, float]]:
    if len(header) > _LONGEST:
        return []
    return [_parse(part) for part in header.split(",") if part.strip()]


def _parse(part: str) -> tuple[str, float]:
    """Return a range in lower case and its quality; other parameters are ignored."""
    media, *parameters = (piece.strip().lower() for piece in part.split(";"))
    quality = 1.0
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            quality = float(value) if _QUALITY.fullmatch(value.strip()) else 0.0
    return media, quality


def _quality(offer: str, ranges: Sequence[tuple[str, float]]) -> float:
    """The quality of the most specific range that covers ``offer``."""
    for wanted in (offer, offer.partition("/")[0] + "/*", "*/*"):
        found = [quality for media, quality in ranges if media == wanted]
        if found:
            return max(found)
    return 0.0
