"""Errors for people and for programs: who gets which, and what is on the page."""

import json
import re
from urllib.parse import quote

import httpx
import pytest

from orders.domain.errors import Overloaded
from orders.domain.order.queries import Page
from orders.domain.order.tombstones import RecentTombstones
from orders.domain.use_cases.list_orders import ListOrders
from orders.entrypoints.http.page.ascii_art import large
from orders.entrypoints.http.problems import INVALID_REQUEST, problem_response
from tests.unit.http.harness import SETTINGS, Api, order, problem
from tests.unit.http.test_middleware import SECRET, Broken
from tests.unit.http.test_page import POLICY, Tags, policy

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
MOST = SETTINGS.random_max


def page(answer: httpx.Response, status: int, title: str) -> str:
    """The text of an answer that must be the page with this title."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert policy(answer) == POLICY
    assert answer.headers["vary"] == "accept, accept-language, cookie"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert f'<h1 class="alarm">{title}</h1>' in answer.text
    assert f"<title>{status}: {title}</title>" in answer.text
    assert answer.headers["x-request-id"] in answer.text
    assert large(status) in answer.text
    return answer.text


@pytest.mark.parametrize(
    ("method", "path", "status", "title"),
    [
        ("GET", "/nope", 404, "Страница не найдена"),
        ("POST", "/nope", 404, "Страница не найдена"),
        ("GET", "/orders/none", 404, "Заказ не найден"),
        ("GET", "/orders/none%20at%20all", 404, "Заказ не найден"),
        ("GET", "/orders/a/b", 404, "Страница не найдена"),
        ("GET", "/orders/%FF", 400, "Неверный запрос"),
        ("GET", "/random/0", 400, "Неверный запрос"),
        ("POST", "/random/0", 400, "Неверный запрос"),
        ("PUT", "/orders/none", 405, "Неверный метод запроса"),
        ("PUT", "/", 405, "Неверный метод запроса"),
        ("POST", "/orders", 422, "Запрос не выполнен"),
    ],
)
async def test_browsers_get_a_page_and_programs_a_problem(
    method: str, path: str, status: int, title: str
) -> None:
    async with Api().client() as client:
        for accept in (BROWSER, "text/html", "TEXT/HTML, application/json;q=0.9"):
            answer = await client.request(method, path, headers={"Accept": accept})
            text = page(answer, status, title)
            assert '<html lang="ru">' in text
        for accept in (
            "*/*",
            "application/json",
            "application/problem+json",
            "",
            "application/json, text/html",
            "application/json, text/html;q=0.9, */*;q=0.1",
            "text/html;q=0, */*",
            "image/png",
            "text/*",
        ):
            answer = await client.request(method, path, headers={"Accept": accept})
            problem(answer, status, json.loads(answer.content)["code"])
            assert answer.headers["vary"] == "accept"


async def test_a_list_has_no_form_for_people_but_its_errors_have(client: httpx.AsyncClient) -> None:
    answer = await client.get("/orders?limit=x", headers={"Accept": BROWSER})
    assert "[limit] must be a number" in page(answer, 400, "Неверный запрос")
    answer = await client.get("/orders", headers={"Accept": "text/html"})
    assert "[not-acceptable]" in page(answer, 406, "Запрос не выполнен")


async def test_a_client_that_does_not_say_gets_a_problem(api: Api) -> None:
    async with api.client() as client:
        del client.headers["accept"]
        assert "accept" not in client.build_request("GET", "/nope").headers
        problem(await client.get("/nope"), 404, "unknown-path")
        problem(await client.get("/orders/none"), 404, "not-found")


async def test_two_lines_of_accept_are_one_list(api: Api) -> None:
    async with api.client() as client:
        for path in ("/orders/none", "/nope"):
            request = client.build_request("GET", path)
            del request.headers["accept"]
            raw = [*request.headers.raw, (b"accept", b"text/html"), (b"accept", b"*/*;q=0.1")]
            request.headers = httpx.Headers(raw)
            assert (await client.send(request)).headers["content-type"].startswith("text/html")


async def test_what_is_there_stays_json_for_browsers(api: Api) -> None:
    await api.store(order())
    async with api.client() as client:
        answer = await client.get("/orders/uid", headers={"Accept": BROWSER})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")


@pytest.mark.parametrize("path", ["/nope", "/orders/none", "/random/0"])
async def test_english(client: httpx.AsyncClient, path: str) -> None:
    headers = {"Accept": BROWSER, "Accept-Language": "en-GB,en;q=0.9"}
    answer = await client.get(path, headers=headers)
    assert '<html lang="en">' in answer.text
    assert not re.search("[а-яё]", answer.text, re.IGNORECASE)
    answer = await client.get(path, headers=headers | {"Cookie": "orders-language=ru"})
    assert '<html lang="ru">' in answer.text


@pytest.mark.parametrize("amount", ["0", "007", "five", str(MOST + 1), "%3Cscript%3E"])
async def test_which_amounts_of_random_orders_there_are(
    api: Api, client: httpx.AsyncClient, amount: str
) -> None:
    answer = await client.get(f"/random/{amount}", headers={"Accept": BROWSER})
    text = page(answer, 400, "Неверный запрос")
    assert f"целое число от 1 до {MOST}" in text
    assert f"[amount] must be a number from 1 to {MOST}" in text
    assert "<script>" not in text
    assert api.sent == []


@pytest.mark.parametrize("uid", ["none", "a/b", "<img src=x>", "\"'&", "ё", "..x", "\0"])
async def test_a_missing_order_can_be_looked_up_on_the_page(
    client: httpx.AsyncClient, uid: str
) -> None:
    path = f"/orders/{quote(uid, safe='')}"
    answer = await client.get(path, headers={"Accept": BROWSER})
    text = page(answer, 404, "Заказ не найден")
    assert f'href="/?order={quote(uid, safe="")}"' in text
    assert not [tag for tag, _ in Tags(text).found if tag in {"img", "script"}]


async def test_an_order_that_cannot_be_read_now_can_be_looked_up_later(api: Api) -> None:
    api.repository.available = False
    async with api.client() as client:
        answer = await client.get("/orders/a%2Fb", headers={"Accept": BROWSER})
        assert 'href="/?order=a%2Fb"' in page(answer, 503, "Временно недоступно")
        answer = await client.get("/nope", headers={"Accept": BROWSER})
        assert 'href="/"' in page(answer, 404, "Страница не найдена")


async def test_an_overloaded_server_is_not_said_to_miss_another(api: Api) -> None:
    class Busy(ListOrders):
        async def page(self, *_: object, **__: object) -> Page:
            raise Overloaded("too many lists are read at a time")

    async with api.client(list_orders=Busy(api.repository, RecentTombstones())) as client:
        answer = await client.get("/orders?limit=1", headers={"Accept": BROWSER})
    page(answer, 503, "Сервер перегружен")
    assert answer.headers["retry-after"] == "5"


async def test_other_errors_lead_back_to_the_page(client: httpx.AsyncClient) -> None:
    text = (await client.get("/nope", headers={"Accept": BROWSER})).text
    assert '<a class="button" href="/">На главную</a>' in text


async def test_what_goes_with_an_error_goes_with_its_page(api: Api) -> None:
    api.publisher.available = False
    async with api.client() as client:
        answer = await client.post("/random/1", headers={"Accept": BROWSER})
        page(answer, 503, "Временно недоступно")
        assert answer.headers["retry-after"] == "5"
        answer = await client.put("/orders", headers={"Accept": BROWSER})
        page(answer, 405, "Неверный метод запроса")
        assert answer.headers["allow"] == "GET, HEAD, OPTIONS, POST"


async def test_pages_tell_nothing_of_what_nobody_foresaw() -> None:
    broken = Broken(RuntimeError(SECRET))
    async with Api().client(look_up=broken) as client:
        answer = await client.get("/orders/uid", headers={"Accept": BROWSER})
    assert "hunter2" not in page(answer, 500, "Ошибка на сервере")


@pytest.mark.parametrize("path", ["/nope", "/orders/none", "/random/0/x"])
async def test_head_has_the_headers_of_the_page(client: httpx.AsyncClient, path: str) -> None:
    headers = {"Accept": BROWSER, "X-Request-ID": "one"}
    get = await client.get(path, headers=headers)
    head = await client.head(path, headers=headers)
    assert (head.status_code, head.content) == (get.status_code, b"")
    assert head.headers == get.headers


async def test_an_id_that_a_client_made_up_is_text(client: httpx.AsyncClient) -> None:
    headers = {"Accept": BROWSER, "X-Request-ID": "<script>alert(1)</script>"}
    for path in ("/nope", "/orders/none"):
        text = (await client.get(path, headers=headers)).text
        assert "<script" not in text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_problems_are_what_they_were() -> None:
    body = problem_response(ValueError("?"), "id").body
    assert body == (
        b'{"type":"urn:orders:problem:internal","title":"Something went wrong here","status":500,'
        b'"detail":"the request id leads to what the log knows about it","code":"internal",'
        b'"request_id":"id"}'
    )
    assert INVALID_REQUEST.status == 400


def test_every_status_can_be_drawn() -> None:
    for status in range(400, 600):
        lines = large(status).split("\n")
        assert [len(line) for line in lines] == [19] * 5
    assert len({large(status) for status in range(400, 600)}) == 200
