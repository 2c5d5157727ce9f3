"""Script, stylesheet, fonts and icon, with a hash of the content in their paths."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from string import Template
from typing import NamedTuple

from orders.domain.order.document import hex_digest
from orders.entrypoints.http.static_file import StaticFile

FILES = Path(__file__).with_name("files")
"""The folder with the files of the pages."""
PREFIX = "/assets/"
FOREVER = (b"cache-control", b"public, max-age=31536000, immutable")
"""The content at such a path never changes."""

_FONTS = ("latin", "latin-ext", "cyrillic", "cyrillic-ext")
_MODULES = ("dom", "json", "api", "copying", "days", "live", "values", "page")
"""The script, each module after those that it imports; the page loads the last."""
_HASH_DIGITS = 16


class Asset(NamedTuple):
    """A file and its path."""

    path: str
    file: StaticFile


@cache
def assets() -> Mapping[str, Asset]:
    """Return all files by their names in templates."""
    fonts = {
        f"font_{script.replace('-', '_')}": _asset(
            f"{script}.woff2", FILES.joinpath("font", f"{script}.woff2").read_bytes(), b"font/woff2"
        )
        for script in _FONTS
    }
    addresses = {word: asset.path for word, asset in fonts.items()}
    style = Template(FILES.joinpath("page.css").read_text("utf-8")).substitute(addresses)
    return {
        **fonts,
        "style": _asset("page.css", style.encode(), b"text/css; charset=utf-8"),
        **_modules(),
        "font_license": _asset(
            "OFL.txt", FILES.joinpath("font", "OFL.txt").read_bytes(), b"text/plain; charset=utf-8"
        ),
        "icon": _asset("icon.svg", FILES.joinpath("icon.svg").read_bytes(), b"image/svg+xml"),
    }


@cache
def by_path() -> Mapping[str, StaticFile]:
    """Return all files by path."""
    return dict(assets().values())


def _modules() -> Mapping[str, Asset]:
    """Return the modules of the script, which import each other by their hashed paths."""
    modules: dict[str, Asset] = {}
    for name in _MODULES:
        text = FILES.joinpath(f"{name}.js").read_text("utf-8")
        for imported in modules.values():
            stem = imported.path.removeprefix(PREFIX).partition(".")[0]
            text = text.replace(f'"./{stem}.js"', f'"{imported.path}"')
        body = text.encode()
        modules[f"script_{name}"] = _asset(f"{name}.js", body, b"text/javascript; charset=utf-8")
    return modules


def _asset(name: str, body: bytes, media_type: bytes) -> Asset:
    stem, _, suffix = name.partition(".")
    path = f"{PREFIX}{stem}.{hex_digest(body).decode()[:_HASH_DIGITS]}.{suffix}"
    return Asset(path, StaticFile(lambda: body, media_type, cache_control=FOREVER))
