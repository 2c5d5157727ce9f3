"""Error pages for browsers."""

from collections.abc import Iterable, Mapping

from orders.entrypoints.http.negotiation import preferred
from orders.entrypoints.http.page import document
from orders.entrypoints.http.page.ascii_art import large
from orders.entrypoints.http.page.home_page import page_path
from orders.entrypoints.http.page.languages import VARY, language_of, translations
from orders.entrypoints.http.problems import Problem, UserMessage
from orders.entrypoints.http.responses import NO_STORE, Header, RawResponse, header_values

_OFFERS = ("application/problem+json", "application/json", "text/html")
_HTML = _OFFERS[-1]


def is_wanted(headers: Iterable[Header]) -> bool:
    """Whether the client prefers HTML to JSON and names it, as browsers do.

    Clients that accept anything are taken for programs.
    """
    accept = b",".join(header_values(headers, b"accept")).lower()
    return b"html" in accept and preferred(accept.decode("latin-1"), _OFFERS) == _HTML


def error_page(
    problem: Problem,
    request_headers: Iterable[Header],
    *headers: Header,
    user_message: UserMessage | None = None,
    order_uid: str = "",
) -> RawResponse:
    """Create the page about ``problem`` in the language of the reader.

    Args:
        problem: what went wrong.
        request_headers: for the language.
        headers: further headers of the response.
        user_message: replaces the text for the problem's type.
        order_uid: the requested order; the page links to it.
    """
    language = language_of(request_headers)
    texts = translations(language)
    title, text = _title_and_text(problem, texts)
    if user_message:
        text = texts[user_message.name].format_map(user_message.values)
    body = document.rendered(
        "error.html",
        language,
        status=str(problem.status),
        art=large(problem.status),
        error_title=title,
        error_text=text,
        log="\n".join(_log(problem)),
        request_id=problem.request_id,
        back_path=page_path(order_uid),
        back_text=texts["error_back_to_order"] if order_uid else texts["error_back"],
    )
    vary = (b"vary", b"accept, " + VARY)
    return RawResponse.of(
        body,
        NO_STORE,
        vary,
        *headers,
        *document.PAGE_HEADERS,
        media_type=document.MEDIA_TYPE,
        status=problem.status,
    )


def _title_and_text(problem: Problem, texts: Mapping[str, str]) -> tuple[str, str]:
    code = problem.code.replace("-", "_")
    if f"error_title_{code}" not in texts:
        code = "other"
    return texts[f"error_title_{code}"], texts[f"error_text_{code}"]


def _log(problem: Problem) -> Iterable[str]:
    """Return the problem details line by line."""
    yield f"[{problem.status}] {problem.title}"
    yield f"[{problem.code}] {problem.detail}"
    for fault in problem.errors or ():
        yield f"[{fault.parameter or fault.pointer}] {fault.detail}"
