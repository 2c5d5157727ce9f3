"""GET /: the page to look orders up on."""

from collections.abc import Iterable
from urllib.parse import parse_qs, quote

from orders.domain.order.rules import ID_MAX_LENGTH
from orders.entrypoints.http.etag import etag, is_known
from orders.entrypoints.http.orders.order_path import path_to
from orders.entrypoints.http.page import document
from orders.entrypoints.http.page.languages import LANGUAGES, VARY, language_of, translations
from orders.entrypoints.http.responses import Header, RawResponse
from orders.entrypoints.http.static_file import REVALIDATE


def answer(query: bytes, headers: Iterable[Header], random_max: int) -> RawResponse:
    """The page in the reader's language, or 304 where the browser has it.

    Args:
        query: of the URL; ``order`` in it is written into the search box.
        headers: of the request.
        random_max: most random orders at a time.
    """
    given = list(headers)
    language = language_of(given)
    order_uid = asked_order(query)
    other = next(one for one in LANGUAGES if one != language)
    most = {"most": random_max}
    body = document.rendered(
        "page.html",
        language,
        order_uid=order_uid,
        order_path=path_to(order_uid) if order_uid else "/orders?limit=10",
        switch_path=switch_path(other, order_uid),
        random_max=str(random_max),
        random_label=translations(language)["random_label"].format_map(most),
        random_invalid=translations(language)["random_invalid"].format_map(most),
        uid_max=str(ID_MAX_LENGTH),
    )
    tag = etag(body)
    described = ((b"etag", tag), REVALIDATE, (b"vary", VARY), *document.SAFETY)
    if is_known(given, tag):
        return RawResponse(304, described)
    return RawResponse.of(body, *described, media_type=document.MEDIA_TYPE)


def asked_order(query: bytes) -> str:
    """The order_uid that the query of a page's URL asks for, empty where it asks for none."""
    try:
        return parse_qs(query.decode(errors="replace"), max_num_fields=100).get("order", [""])[0]
    except ValueError:
        return ""


def page_path(order_uid: str) -> str:
    """Where the page shows this order; the page itself for an empty uid."""
    return f"/?order={quote(order_uid, safe='')}" if order_uid else "/"


def switch_path(language: str, order_uid: str) -> str:
    """Where this language is chosen, on the way to the same order."""
    return f"/language/{language}" + page_path(order_uid)[1:]
