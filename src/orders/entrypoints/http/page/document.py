"""Renders HTML templates, and defines the headers of pages."""

from collections.abc import Mapping
from functools import cache
from html import escape
from string import Template

from orders.entrypoints.http.page.assets import FILES, assets
from orders.entrypoints.http.page.languages import translations

MEDIA_TYPE = b"text/html; charset=utf-8"

POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
    b"connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    b"require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Loads from this origin only, nothing inline; scripts cannot turn text into markup or code."""

PAGE_HEADERS = (
    (b"content-security-policy", POLICY),
    (b"cross-origin-opener-policy", b"same-origin"),
    (
        b"permissions-policy",
        b"camera=(), geolocation=(), microphone=(), payment=(), usb=(), clipboard-read=()",
    ),
)
"""Headers of pages besides those of every response."""


def rendered(template: str, language: str, **values: str) -> bytes:
    """Render a template with the texts of a language, the paths of assets and ``values``."""
    filled = {word: escape(text) for word, text in values.items()}
    return (
        _template(template).substitute(_common_values(language), lang=language, **filled).encode()
    )


@cache
def _template(name: str) -> Template:
    return Template(FILES.joinpath(name).read_text("utf-8"))


@cache
def _common_values(language: str) -> Mapping[str, str]:
    """Return the values that all templates have in common."""
    addresses = {word: asset.path for word, asset in assets().items()}
    return addresses | {word: escape(text) for word, text in translations(language).items()}
