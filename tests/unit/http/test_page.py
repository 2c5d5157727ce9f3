"""The page at /: languages and their switch, headers, files under hashed names."""

import json
import re
from html import unescape
from html.parser import HTMLParser
from string import Template
from urllib.parse import quote

import httpx
import pytest

from orders.domain.order.rules import ID_MAX_LENGTH
from orders.entrypoints.http.negotiation import preferred_language
from orders.entrypoints.http.page.assets import FILES
from orders.entrypoints.http.page.languages import LANGUAGES, translations
from tests.unit.http.harness import SETTINGS, Api

POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "font-src": "'self'",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
    "require-trusted-types-for": "'script'",
    "trusted-types": "'none'",
}


def language(answer: httpx.Response) -> str:
    found = re.search(r'<html lang="(\w+)">', answer.text)
    assert found
    return found[1]


async def get(api: Api, path: str = "/", **headers: str) -> httpx.Response:
    """By a client of its own, which remembers no cookie."""
    async with api.client() as client:
        return await client.get(
            path, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )


def policy(answer: httpx.Response) -> dict[str, str]:
    (given,) = answer.headers.get_list("content-security-policy")
    return dict(part.strip().split(" ", 1) for part in given.split(";"))


@pytest.mark.parametrize(
    ("accepted", "wanted"),
    [
        ("", "ru"),
        ("ru", "ru"),
        ("en", "en"),
        ("en-GB", "en"),
        ("EN-us,en;q=0.9,ru;q=0.8", "en"),
        ("ru-RU,ru;q=0.9,en;q=0.8", "ru"),
        ("de-DE,de;q=0.9,en;q=0.7,ru;q=0.3", "en"),
        ("en;q=0.3,ru;q=0.7", "ru"),
        ("en,ru", "en"),
        ("de", "ru"),
        ("*", "ru"),
        ("de,*;q=0.5", "ru"),
        ("ru;q=0,*", "en"),
        ("ru;q=0,en;q=0", "ru"),
        ("en;q=oops,ru;q=0.1", "ru"),
        ("english", "ru"),
        (",;,q=1,;q=", "ru"),
        ("\xff\xfe", "ru"),
    ],
)
async def test_the_language_is_what_the_browser_asks_for(
    api: Api, accepted: str, wanted: str
) -> None:
    async with api.client() as client:
        answer = await client.get("/", headers={b"accept-language": accepted.encode("latin-1")})
    assert language(answer) == wanted
    assert answer.headers["vary"] == "accept-language, cookie"


def test_no_language_that_is_offered() -> None:
    assert preferred_language("de, fr;q=0.5", LANGUAGES) is None


@pytest.mark.parametrize(
    ("cookie", "wanted"),
    [
        ("orders-language=en", "en"),
        ("a=b; orders-language=en; c=d", "en"),
        ("orders-language=de", "ru"),
        ("orders-language=", "ru"),
        ("other-orders-language=en", "ru"),
        ("orders-language", "ru"),
        ("en", "ru"),
    ],
)
async def test_what_was_chosen_comes_first(api: Api, cookie: str, wanted: str) -> None:
    assert language(await get(api, cookie=cookie, accept_language="ru")) == wanted


async def test_the_switch_is_remembered_and_keeps_the_order(client: httpx.AsyncClient) -> None:
    uid = "a/b?c=d&e «ё» \"<b>'"
    page = await client.get("/", params={"order": uid})
    (path,) = re.findall(r'href="(/language/en[^"]*)"', page.text)
    chosen = await client.get(unescape(path))
    assert chosen.status_code == 303
    assert chosen.headers["location"] == f"/?order={quote(uid, safe='')}"
    assert chosen.headers["cache-control"] == "no-store"
    cookie = chosen.headers["set-cookie"]
    for part in ("orders-language=en", "Path=/", "Max-Age=31536000", "SameSite=Lax", "HttpOnly"):
        assert part in cookie.split("; ")
    back = await client.get(chosen.headers["location"], headers={"Accept-Language": "ru"})
    assert language(back) == "en"
    assert '"/language/ru?order=' in back.text


@pytest.mark.parametrize(
    ("query", "location"),
    [
        ("", "/"),
        ("order=", "/"),
        ("order=//evil.example", "/?order=%2F%2Fevil.example"),
        ("order=https://evil.example/", "/?order=https%3A%2F%2Fevil.example%2F"),
        ("order=%0d%0aset-cookie:a=b", "/?order=%0D%0Aset-cookie%3Aa%3Db"),
        ("order=a%26b%23c", "/?order=a%26b%23c"),
        ("order=a&order=b", "/?order=a"),
        ("next=https://evil.example/", "/"),
        ("back=//evil.example&url=//evil.example", "/"),
        ("order=%FF", "/?order=%EF%BF%BD"),
        ("list", "/?list"),
        ("list=", "/?list"),
        ("order=a&list", "/?list"),
        (
            "list&from=2021-01-01&to=//evil.example&cursor=%0d%0aa:b&customer_id=%26&next=//evil.example",
            "/?list&customer_id=%26&from=2021-01-01&to=%2F%2Fevil.example&cursor=%0D%0Aa%3Ab",
        ),
        ("&".join(["a=b"] * 200), "/"),
        ("order=" + "%FF" * 5_000, "/"),
        ("order=" + "%F0%9F%98%80" * ID_MAX_LENGTH, "/?order=" + "%F0%9F%98%80" * ID_MAX_LENGTH),
    ],
)
async def test_the_switch_leads_nowhere_else(api: Api, query: str, location: str) -> None:
    answer = await get(api, f"/language/ru?{query}")
    assert (answer.status_code, answer.headers["location"]) == (303, location)
    assert answer.headers.get_list("set-cookie") == [
        "orders-language=ru; Path=/; Max-Age=31536000; SameSite=Lax; HttpOnly"
    ]


@pytest.mark.parametrize("name", ["de", "RU", "ru%0D%0Aa:b", "%2F%2Fevil.example"])
async def test_there_is_no_such_language(api: Api, name: str) -> None:
    answer = await get(api, f"/language/{name}")
    assert answer.status_code == 404
    assert "set-cookie" not in answer.headers


async def test_the_headers_of_the_page(client: httpx.AsyncClient) -> None:
    page = await client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert policy(page) == POLICY
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cross-origin-resource-policy"] == "same-origin"
    assert page.headers["cross-origin-opener-policy"] == "same-origin"
    assert "geolocation=()" in page.headers["permissions-policy"]
    assert page.headers["cache-control"] == "no-cache"
    assert "set-cookie" not in page.headers


async def test_each_page_has_its_own_tag(api: Api) -> None:
    tags = [
        (await get(api, path, accept_language=wanted)).headers["etag"]
        for path in ("/", "/?order=a", "/?order=b")
        for wanted in LANGUAGES
    ]
    assert len(set(tags)) == len(tags)
    known = await get(api, "/?order=b", accept_language=LANGUAGES[-1], if_none_match=tags[-1])
    assert (known.status_code, known.content) == (304, b"")
    assert known.headers["vary"] == "accept-language, cookie"
    other = await get(api, "/", accept_language="ru", if_none_match=tags[-1])
    assert other.status_code == 200


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def only(self, tag: str, **wanted: str) -> dict[str, str | None]:
        (one,) = [
            given for name, given in self.found if name == tag and wanted.items() <= given.items()
        ]
        return one


@pytest.mark.parametrize(
    "uid", ['"><script>alert(1)</script>', "' onfocus=alert(1) x='", "&quot;$x"]
)
async def test_what_is_in_the_address_is_text(client: httpx.AsyncClient, uid: str) -> None:
    page = await client.get("/", params={"order": uid})
    tags = Tags(page.text)
    assert tags.only("input", id="order")["value"] == uid
    assert len([tag for tag, _ in tags.found if tag == "script"]) == 1
    assert not [name for _, given in tags.found for name in given if name.startswith("on")]
    link = tags.only("a", id="switch")["href"]
    assert link == f"/language/en?order={quote(uid, safe='')}"
    assert f'href="/orders/{quote(uid, safe="")}"' in page.text  # for those without script


async def test_the_page_knows_the_limits(client: httpx.AsyncClient) -> None:
    page = await client.get("/")
    limits = Tags(page.text).only("body")
    assert limits == {
        "data-random-max": str(SETTINGS.random_max),
        "data-uid-max": "255",
        "data-money": "major",
    }
    assert f"от 1 до {SETTINGS.random_max}" in page.text


async def test_files_have_names_that_change_with_them(client: httpx.AsyncClient) -> None:
    page = (await client.get("/")).text
    style = re.search(r'"(/assets/page\.[0-9a-f]{16}\.css)"', page)
    assert style
    fonts = re.findall(r'url\("([^"]+)"\)', (await client.get(style[1])).text)
    assert len(fonts) == 4
    paths = {*re.findall(r'"(/assets/[^"]+)"', page), *fonts}
    (script,) = re.findall(r'<script type="module" src="([^"]+)">', page)
    imported = re.findall(r' from "([^"]+)";', (await client.get(script)).text)
    assert imported
    assert {*imported} < paths  # they are preloaded
    types = {}
    for path in paths:
        assert re.fullmatch(r"/assets/[\w-]+\.[0-9a-f]{16}\.\w+", path)
        answer = await client.get(path)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        tag = answer.headers["etag"]
        assert path.split(".")[1] == tag[1:17]
        types[path.rpartition(".")[2]] = answer.headers["content-type"]
        again = await client.get(path, headers={"If-None-Match": tag})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["cache-control"] == answer.headers["cache-control"]
        other = re.sub(r"\.[0-9a-f]{16}\.", "." + "0" * 16 + ".", path)
        assert (await client.get(other)).status_code == 404
    assert types == {
        "css": "text/css; charset=utf-8",
        "js": "text/javascript; charset=utf-8",
        "svg": "image/svg+xml",
        "txt": "text/plain; charset=utf-8",
        "woff2": "font/woff2",
    }


@pytest.mark.parametrize(
    "name", ["page.html", "page.js", "..%2Fpage.html", "%2e%2e%2fshell.py", ""]
)
async def test_no_other_file_is_served(client: httpx.AsyncClient, name: str) -> None:
    assert (await client.get(f"/assets/{name}")).status_code == 404


async def test_the_font_comes_with_its_licence(client: httpx.AsyncClient) -> None:
    page = await client.get("/")
    (path,) = re.findall(r'"(/assets/OFL\.[^"]+)"', page.text)
    licence = (await client.get(path)).text
    assert "SIL OPEN FONT LICENSE Version 1.1" in licence
    assert "The Press Start 2P Project Authors" in licence


def words_of(template: str) -> set[str]:
    return set(Template(FILES.joinpath(template).read_text()).get_identifiers())


def test_languages_say_the_same_and_nothing_in_vain() -> None:
    assert len({frozenset(translations(one)) for one in LANGUAGES}) == 1
    used = words_of("page.html") | words_of("error.html") | words_of("login.html")
    unused = {
        name for name in translations("ru") if name not in used and not name.startswith("error_")
    }
    assert unused == set()
    for name in translations("ru"):
        places = {frozenset(re.findall(r"\{\w+\}", translations(one)[name])) for one in LANGUAGES}
        assert len(places) == 1, name
        assert (
            len({translations(one)[name] for one in LANGUAGES}) == 2
            or translations("ru")[name].isascii()
        )


def test_the_script_holds_no_sentence_and_makes_no_markup() -> None:
    script = "".join(file.read_text() for file in sorted(FILES.glob("*.js")))
    code = re.sub(r"^\s*//.*$|(?<=;)\s+//.*$", "", script, flags=re.MULTILINE)
    assert not re.search("[а-яё]", code, re.IGNORECASE)
    for word in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "http:",
    ):
        assert word not in code
    named = set(re.findall(r'phrase\("(\w+)"', code)) | set(
        re.findall(r'"((?:list|random)_\w+)"', code)
    )
    page = FILES.joinpath("page.html").read_text()
    assert named
    assert {name for name in named if f'data-name="{name}"' not in page} == set()


def test_texts_are_valid_json_in_a_fixed_order() -> None:
    orders = [
        list(json.loads(FILES.joinpath("translations", f"{one}.json").read_text()))
        for one in LANGUAGES
    ]
    assert orders[0] == orders[1]
