"""The languages of the pages, how one is chosen, and their texts."""

from collections.abc import Iterable, Mapping
from functools import cache

import msgspec

from orders.entrypoints.http.negotiation import preferred_language
from orders.entrypoints.http.page.assets import FILES
from orders.entrypoints.http.responses import Header, cookie, header_values

LANGUAGES = ("ru", "en")
DEFAULT, *_ = LANGUAGES

COOKIE = "orders-language"
_ONE_YEAR = 31_536_000

VARY = b"accept-language, cookie"


def language_of(headers: Iterable[Header]) -> str:
    """Return the language chosen on the page, else that of the browser, else Russian."""
    given = list(headers)
    chosen = cookie(given, COOKIE)
    if chosen in LANGUAGES:
        return chosen
    accepted = b",".join(header_values(given, b"accept-language")).decode("latin-1")
    return preferred_language(accepted, LANGUAGES) or DEFAULT


def set_language_cookie(language: str) -> Header:
    """Return the header that sets the cookie with the chosen language."""
    text = f"{COOKIE}={language}; Path=/; Max-Age={_ONE_YEAR}; SameSite=Lax; HttpOnly"
    return (b"set-cookie", text.encode())


@cache
def translations(language: str) -> Mapping[str, str]:
    """Return all texts of a language by name; all languages have the same names."""
    body = FILES.joinpath("translations", f"{language}.json").read_bytes()
    return msgspec.json.decode(body, type=dict[str, str])
