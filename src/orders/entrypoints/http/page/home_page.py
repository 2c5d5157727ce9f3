"""GET /: the page to look up orders."""

from collections.abc import Iterable, Mapping
from urllib.parse import parse_qs, quote

from orders.domain.order.rules import ID_MAX_LENGTH
from orders.entrypoints.http.etag import etag, is_known
from orders.entrypoints.http.orders.order_path import path_to
from orders.entrypoints.http.page import document
from orders.entrypoints.http.page.languages import LANGUAGES, VARY, language_of, translations
from orders.entrypoints.http.responses import Header, RawResponse
from orders.entrypoints.http.static_file import REVALIDATE

_LIST_PARAMETERS = ("track_number", "customer_id", "from", "to", "cursor")
_LONGEST_QUERY = 10_000
"""Bytes; the longest that the page makes has some 8,000. Anybody may ask for the page, and 32 KiB
of escapes would take the processor for 7 ms."""


def home_page(
    query: bytes, headers: Iterable[Header], random_max: int, money: str, *, has_sessions: bool
) -> RawResponse:
    """Return the page in the language of the reader, or 304 if the browser has it.

    Args:
        query: of the URL; ``order`` in it fills the search box, ``list`` is read by the script.
        headers: of the request.
        random_max: the most random orders at a time.
        money: the unit of amounts, "major" or "minor".
        has_sessions: whether there is a session to end.
    """
    given = list(headers)
    language = language_of(given)
    values = _parsed(query)
    order_uid = values.get("order", "")
    other = next(one for one in LANGUAGES if one != language)
    most = {"most": random_max}
    body = document.rendered(
        "page.html",
        language,
        order_uid=order_uid,
        order_path=path_to(order_uid) if order_uid else "/orders?limit=10",
        switch_path=switch_path(other, _path_of(values)),
        random_max=str(random_max),
        money=money,
        random_label=translations(language)["random_label"].format_map(most),
        random_invalid=translations(language)["random_invalid"].format_map(most),
        session_hidden="" if has_sessions else "hidden",
        uid_max=str(ID_MAX_LENGTH),
    )
    tag = etag(body)
    described = ((b"etag", tag), REVALIDATE, (b"vary", VARY), *document.PAGE_HEADERS)
    if is_known(given, tag):
        return RawResponse(304, described)
    return RawResponse.of(body, *described, media_type=document.MEDIA_TYPE)


def requested_path(query: bytes) -> str:
    """Return the path of the page that shows what is in the query: an order, a list or nothing.

    What else is in the query is left out.
    """
    return _path_of(_parsed(query))


def _path_of(values: Mapping[str, str]) -> str:
    if "list" not in values:
        return page_path(values.get("order", ""))
    names = [name for name in _LIST_PARAMETERS if name in values]
    return "&".join(["/?list", *(f"{name}={quote(values[name], safe='')}" for name in names)])


def _parsed(query: bytes) -> Mapping[str, str]:
    """Return the first value of each parameter; nothing if there are too many, or too long ones."""
    if len(query) > _LONGEST_QUERY:
        return {}
    try:
        parsed = parse_qs(
            query.decode(errors="replace"), keep_blank_values=True, max_num_fields=100
        )
    except ValueError:
        return {}
    return {name: values[0] for name, values in parsed.items()}


def page_path(order_uid: str) -> str:
    """Return the path of the page that shows this order, or of the page for an empty uid."""
    return f"/?order={quote(order_uid, safe='')}" if order_uid else "/"


def switch_path(language: str, path: str) -> str:
    """Return the path that sets the language and leads back to this one of the page."""
    return f"/language/{language}" + path[1:]
