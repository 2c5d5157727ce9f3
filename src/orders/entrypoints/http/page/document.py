"""One HTML document: a template filled in with texts and addresses, and the headers of a page."""

from collections.abc import Mapping
from functools import cache
from html import escape
from string import Template

from orders.entrypoints.http.page.assets import assets
from orders.entrypoints.http.page.files import FILES
from orders.entrypoints.http.page.languages import translations

MEDIA_TYPE = b"text/html; charset=utf-8"

POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
    b"connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    b"require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Everything from here, nothing inline, and no text becomes markup or code by any way of script."""

SAFETY = (
    (b"content-security-policy", POLICY),
    (b"cross-origin-opener-policy", b"same-origin"),
    (
        b"permissions-policy",
        b"camera=(), geolocation=(), microphone=(), payment=(), usb=(), clipboard-read=()",
    ),
)
"""What pages say besides what every answer says."""


def rendered(template: str, language: str, **values: str) -> bytes:
    """The template with all texts of the language, all addresses and ``values``, each escaped."""
    filled = {word: escape(text) for word, text in values.items()}
    return _template(template).substitute(_immutable(language), lang=language, **filled).encode()


@cache
def _template(name: str) -> Template:
    return Template(FILES.joinpath(name).read_text("utf-8"))


@cache
def _immutable(language: str) -> Mapping[str, str]:
    """What a template may name whatever it is rendered for."""
    addresses = {word: asset.path for word, asset in assets().items()}
    return addresses | {word: escape(text) for word, text in translations(language).items()}
