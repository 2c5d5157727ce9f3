"""The OpenAPI document as JSON and YAML, and Swagger UI, all from files served here."""

from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import yaml
from litestar.handlers import HTTPRouteHandler

from orders.entrypoints.http.answer import JSON, Answer
from orders.entrypoints.http.routes import READ
from orders.entrypoints.http.static_file import StaticFile, page, route

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Orders: the API</title>
<link rel="icon" href="/docs/favicon-32x32.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
# Without validatorUrl null the page would show a badge that another host draws.
_START = """\
window.ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  deepLinking: true,
  tryItOutEnabled: true,
  validatorUrl: null,
});
"""
_ASSETS = {
    "swagger-ui-bundle.js": b"text/javascript; charset=utf-8",
    "swagger-ui.css": b"text/css; charset=utf-8",
    "favicon-32x32.png": b"image/png",
}
_JAVASCRIPT = _ASSETS["swagger-ui-bundle.js"]


def routes(document: Mapping[str, Any]) -> Iterable[HTTPRouteHandler]:
    """Everything at /docs, and the document itself."""
    yield route("/openapi.json", StaticFile(msgspec.json.encode(document), JSON))
    text = yaml.safe_dump(document, allow_unicode=True, sort_keys=False).encode()
    yield route("/swagger.yaml", StaticFile(text, b"application/yaml"))
    yield _redirect
    yield route("/docs/index.html", page(_PAGE))
    yield route("/docs/start.js", StaticFile(_START.encode(), _JAVASCRIPT))
    for name, media_type in _ASSETS.items():
        body = (_static_folder() / name).read_bytes()
        yield route(f"/docs/{name}", StaticFile(body, media_type))


@READ("/docs", include_in_schema=False)
async def _redirect() -> Answer:
    return Answer(302, ((b"location", b"/docs/index.html"), (b"content-length", b"0")))


def _static_folder() -> Path:
    """Where the wheel keeps its files; found without importing it, which would load a lot."""
    spec = find_spec("swagger_ui")
    assert spec is not None, "swagger-ui-py is a dependency"
    return Path(*(spec.submodule_search_locations or ())[:1], "static")
