"""An error as a page, for those who come with a browser."""

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
    """Whether the client names HTML and likes it better than JSON, as browsers do.

    Those who take anything, or do not say, are programs and get problem details.
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
    """The page about ``problem``, in the reader's language and with the problem's status.

    Args:
        problem: what went wrong.
        request_headers: tell the language.
        headers: what else the answer says.
        user_message: what to say to people, where there is more to say than of any such problem.
        order_uid: the order that was asked for, which the page at / can then be asked for.
    """
    language = language_of(request_headers)
    said = translations(language)
    title, text = _title_and_text(problem, said)
    if user_message:
        text = said[user_message.name].format_map(user_message.values)
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
        back_text=said["error_back_to_order"] if order_uid else said["error_back"],
    )
    vary = (b"vary", b"accept, " + VARY)
    return RawResponse.of(
        body,
        NO_STORE,
        vary,
        *headers,
        *document.SAFETY,
        media_type=document.MEDIA_TYPE,
        status=problem.status,
    )


def _title_and_text(problem: Problem, said: Mapping[str, str]) -> tuple[str, str]:
    code = problem.code.replace("-", "_")
    if f"error_title_{code}" not in said:
        code = "other"
    return said[f"error_title_{code}"], said[f"error_text_{code}"]


def _log(problem: Problem) -> Iterable[str]:
    """What the API says of it, line by line."""
    yield f"[{problem.status}] {problem.title}"
    yield f"[{problem.code}] {problem.detail}"
    for fault in problem.errors or ():
        yield f"[{fault.parameter or fault.pointer}] {fault.detail}"
