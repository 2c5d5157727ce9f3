"""Serves the OpenAPI and AsyncAPI documents and Swagger UI."""

from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec.yaml
from litestar.handlers import HTTPRouteHandler

from orders.entrypoints.http.responses import JSON, RawResponse
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
<nav class="swagger-ui"><p class="wrapper"><a href="/">← To the start page</a></p></nav>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
# validatorUrl null: no badge from another host.
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


Document = Callable[[], Mapping[str, Any]]


def routes(openapi: Document, asyncapi: Document) -> Iterable[HTTPRouteHandler]:
    """Create the routes; each document is created on first use."""
    yield from _as_json_and_yaml(openapi, "/openapi.json", "/swagger.yaml")
    yield from _as_json_and_yaml(asyncapi, "/asyncapi.json", "/asyncapi.yaml")
    yield _redirect
    yield route("/docs/index.html", page(_PAGE))
    yield route("/docs/start.js", StaticFile(_START.encode, _JAVASCRIPT))
    for name, media_type in _ASSETS.items():
        yield route(f"/docs/{name}", StaticFile((_static_folder() / name).read_bytes, media_type))


def _as_json_and_yaml(
    document: Document, json_path: str, yaml_path: str
) -> Iterable[HTTPRouteHandler]:
    as_json = StaticFile(lambda: msgspec.json.encode(document()), JSON)
    # Decoded from JSON, so that no object occurs twice and YAML needs no aliases.
    as_yaml = StaticFile(
        lambda: msgspec.yaml.encode(msgspec.json.decode(as_json.body)), b"application/yaml"
    )
    yield route(json_path, as_json)
    yield route(yaml_path, as_yaml)


@READ("/docs", include_in_schema=False)
async def _redirect() -> RawResponse:
    return RawResponse(302, ((b"location", b"/docs/index.html"), (b"content-length", b"0")))


def _static_folder() -> Path:
    """Return the folder of Swagger UI's files, without importing its package."""
    spec = find_spec("swagger_ui")
    assert spec is not None, "swagger-ui-py is a dependency"
    return Path(*(spec.submodule_search_locations or ())[:1], "static")
