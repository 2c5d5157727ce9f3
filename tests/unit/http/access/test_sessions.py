"""The page's sessions: login, cookie, logout, and what ends them."""

import json
import re
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from orders.entrypoints.http.access import key_file, sessions
from orders.entrypoints.http.access.credentials import Claims, Grant
from orders.entrypoints.http.access.principal import Principal
from orders.entrypoints.http.access.sessions import COOKIE, SECONDS, Sessions
from tests.unit.http.access.access_harness import (
    SECRET,
    app,
    bearer,
    client_from,
    content,
    new_key,
    protected,
    write,
)
from tests.unit.http.harness import Api, problem
from tests.unit.http.test_page import POLICY, Tags, policy


@pytest.fixture
def key(path: Path) -> str:
    return new_key(path, "orders:read")[1]


@pytest.fixture
async def client(path: Path, key: str) -> AsyncIterator[httpx.AsyncClient]:
    async with client_from(app(protected(path))) as client:
        yield client


async def log_in(client: httpx.AsyncClient, key: str, **more: str) -> httpx.Response:
    done = await client.post("/login", data={"key": key, **more})
    assert done.status_code == 303, done.text
    return done


async def test_a_session_is_as_good_as_its_key(client: httpx.AsyncClient, key: str) -> None:
    problem(await client.get("/orders"), 401, "unauthorized")
    await log_in(client, key)
    for url in ("/orders", "/docs/index.html", "/openapi.json"):
        assert (await client.get(url)).status_code == 200
    assert (await client.get("/orders/uid")).status_code == 404
    same_origin = {"Sec-Fetch-Site": "same-origin"}
    problem(await client.post("/random/1", headers=same_origin), 403, "forbidden")


async def test_the_cookie(path: Path, key: str) -> None:
    for url, scheme in (("http://test", ""), ("https://test", "Secure")):
        async with client_from(app(protected(path)), url=url) as client:
            done = await log_in(client, key)
        (given,) = done.headers.get_list("set-cookie")
        pair, *attributes = given.split("; ")
        expected = {f"Max-Age={SECONDS}", "Path=/", "HttpOnly", "SameSite=Strict"} | {scheme}
        assert set(attributes) == expected - {""}
        assert pair.startswith(f"{COOKIE}=")
        assert done.headers["cache-control"] == "no-store"
        assert key not in given
        assert (
            key_file.digest(key.encode()).hex()
            not in urlsafe_b64decode(pair.partition("=")[2].partition(".")[0]).decode()
        )


async def test_a_session_ends_when_the_key_is_revoked(path: Path, key: str) -> None:
    served = app(protected(path, http_session_secret=SECRET))
    async with client_from(served) as client:
        await log_in(client, key)
        assert (await client.get("/orders")).status_code == 200
        cookie = client.cookies[COOKIE]
    key_file.edit(path, lambda _: ())
    new_key(path, "orders:read")
    later = app(protected(path, http_session_secret=SECRET))
    async with client_from(later) as client:
        answer = await client.get("/orders", headers={"Cookie": f"{COOKIE}={cookie}"})
    problem(answer, 401, "unauthorized")


async def test_a_session_is_not_that_of_a_later_key_with_the_same_id(path: Path, key: str) -> None:
    settings = protected(path, http_session_secret=SECRET)
    async with client_from(app(settings)) as client:
        await log_in(client, key)
        cookie = client.cookies[COOKIE]
    (stored,) = key_file.read(path)
    replaced = msgspec.structs.replace(stored, sha256="0" * 64)
    key_file.edit(path, lambda _: (replaced,))
    async with client_from(app(settings)) as client:
        answer = await client.get("/orders", headers={"Cookie": f"{COOKIE}={cookie}"})
    problem(answer, 401, "unauthorized")


async def test_a_session_has_the_scopes_that_the_key_has_now(path: Path, key: str) -> None:
    async with client_from(app(protected(path, http_session_secret=SECRET))) as client:
        await log_in(client, key)
        cookie = client.cookies[COOKIE]
    text = content(path).decode().replace("orders:read", "orders:write")
    write(path, text)
    async with client_from(app(protected(path, http_session_secret=SECRET))) as client:
        answer = await client.get("/orders", headers={"Cookie": f"{COOKIE}={cookie}"})
    problem(answer, 403, "forbidden")


async def test_every_process_with_the_secret_takes_it_and_no_other(path: Path, key: str) -> None:
    async with client_from(app(protected(path, http_session_secret=SECRET))) as client:
        await log_in(client, key)
        cookie = {"Cookie": f"{COOKIE}={client.cookies[COOKIE]}"}
    for secret, status in ((SECRET, 200), ("t" * 32, 401), (None, 401)):
        async with client_from(app(protected(path, http_session_secret=secret))) as client:
            assert (await client.get("/orders", headers=cookie)).status_code == status


async def test_the_header_counts_alone(path: Path, client: httpx.AsyncClient, key: str) -> None:
    await log_in(client, key)
    problem(await client.get("/orders", headers=bearer("wrong")), 401, "unauthorized")
    _, writer = new_key(path, "orders:write")
    async with client_from(app(protected(path))) as other:
        await log_in(other, key)
        problem(await other.get("/orders", headers=bearer(writer)), 403, "forbidden")
        assert (await other.post("/random/1", headers=bearer(writer))).status_code == 200


@pytest.mark.parametrize("wrong", ["", " ", "wrong", "é", "x" * 9000, "a b", "a\r\nb"])
async def test_a_wrong_key_at_the_login(client: httpx.AsyncClient, wrong: str) -> None:
    answer = await client.post("/login", data={"key": wrong, "page": "/?order=o%271"})
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert "Ключ не подходит" in answer.text
    assert policy(answer) == POLICY
    tags = Tags(answer.text)
    assert tags.only("input", name="page")["value"] == "/?order=o%271"
    assert "value" not in tags.only("input", name="key")


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"{}", b"key", b"key=%FF", b"&" * 2000, b"key=" + b"x" * 20_000]
)
async def test_forms_that_are_none(client: httpx.AsyncClient, body: bytes) -> None:
    answer = await client.post("/login", content=body)
    assert answer.status_code in {401, 413}
    assert "set-cookie" not in answer.headers


async def test_a_form_says_how_long_it_is(client: httpx.AsyncClient, key: str) -> None:
    """In chunks of a byte it would take a thousand times as long to read; browsers send none."""

    async def chunks() -> AsyncIterator[bytes]:
        yield b"key=" + key.encode()

    answer = await client.post("/login", content=chunks())
    assert answer.status_code == 411


@pytest.mark.parametrize(("language", "title"), [("ru", "Вход"), ("en", "Log in")])
async def test_the_login_page(client: httpx.AsyncClient, language: str, title: str) -> None:
    page = await client.get("/login?order=a%26b", headers={"Accept-Language": language})
    assert page.status_code == 200
    assert f"<title>{title}</title>" in page.text
    assert policy(page) == POLICY
    assert page.headers["cache-control"] == "no-store"
    tags = Tags(page.text)
    assert tags.only("form") == tags.only("form") | {"action": "/login", "method": "post"}
    assert tags.only("input", name="page")["value"] == "/?order=a%26b"
    assert tags.only("input", name="key")["type"] == "password"
    assert not [tag for tag, _ in tags.found if tag == "script"]
    other = "en" if language == "ru" else "ru"
    assert tags.only("a", hreflang=other)["href"] == f"/language/{other}?order=a%26b"


@pytest.mark.parametrize(
    ("page", "location"),
    [
        ("", "/"),
        ("/?order=o1", "/?order=o1"),
        ("/?list&from=2021-01-01", "/?list&from=2021-01-01"),
        ("//evil.example", "/"),
        ("https://evil.example/?order=o1", "/?order=o1"),
        ("/?order=//evil.example", "/?order=%2F%2Fevil.example"),
        ("/?order=a\r\nset-cookie: b=c", "/?order=a%0D%0Aset-cookie%3A%20b%3Dc"),
    ],
)
async def test_the_login_leads_back_to_the_order_and_nowhere_else(
    client: httpx.AsyncClient, key: str, page: str, location: str
) -> None:
    done = await log_in(client, key, page=page, next="https://evil.example")
    assert done.headers["location"] == location


async def test_logins_and_the_logout_of_a_session_have_a_line(
    client: httpx.AsyncClient, key: str
) -> None:
    with structlog.testing.capture_logs() as lines:
        await client.post("/logout")  # without a session anybody could fill the log
        await client.post("/login", data={"key": "x"})
        await log_in(client, key)
        await client.post("/logout")
    lines = [line for line in lines if line["event"] == "request"]
    assert [(line["route"], line.get("denied")) for line in lines] == [
        ("/login", "not valid"),
        ("/login", None),
        ("/logout", None),
    ]
    assert ["key" in line for line in lines] == [False, True, True]


async def test_logout(client: httpx.AsyncClient, key: str) -> None:
    await log_in(client, key)
    done = await client.post("/logout")
    assert (done.status_code, done.headers["location"]) == (303, "/login")
    assert f"{COOKIE}=; Max-Age=0; Path=/; HttpOnly; SameSite=Strict" == done.headers["set-cookie"]
    problem(await client.get("/orders"), 401, "unauthorized")
    assert (await client.get("/logout")).status_code == 405


@pytest.mark.parametrize("url", ["/login", "/logout", "/random/1", "/orders"])
@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}]
)
async def test_other_sites_neither_log_in_nor_out_nor_write(
    path: Path, url: str, headers: dict[str, str]
) -> None:
    _, key = new_key(path, "orders:write")
    async with client_from(app(protected(path))) as client:
        await log_in(client, key)
        answer = await client.post(url, data={"key": key}, headers=headers)
        problem(answer, 403, "cross-site")
        assert "set-cookie" not in answer.headers


async def test_the_page_offers_to_log_out_only_with_access_control(path: Path, key: str) -> None:
    for settings, is_offered in ((protected(path), True), (Api().settings, False)):
        async with client_from(app(settings)) as client:
            form = Tags((await client.get("/")).text).only("form", action="/logout")
        assert ("hidden" not in form) is is_offered
    async with Api().client() as client:
        assert (await client.get("/login")).status_code == 404


# --- Forgeries --------------------------------------------------------------------------------


class Everybody:
    """Recalls whoever is claimed."""

    def recall(self, claims: Claims) -> Principal:
        return Principal(claims.id, frozenset(claims.scopes))


def session(secret: bytes = b"s" * 32) -> Sessions:
    everybody: Any = Everybody()
    return Sessions(secret, everybody)


def value_of(header: tuple[bytes, bytes]) -> str:
    found = re.match(rf"{COOKIE}=([^;]*);", header[1].decode())
    assert found
    return found[1]


def recalled(value: str, by: Sessions | None = None) -> Principal | None:
    return (by or session()).principal_of([(b"cookie", f"{COOKIE}={value}".encode("latin-1"))])


GRANT = Grant(Principal("someone", frozenset({"orders:read"})), fingerprint="f")


def test_a_session_is_recalled() -> None:
    value = value_of(session().begin(GRANT, is_secure=False))
    assert recalled(value) == GRANT.principal
    assert recalled(value, session(b"t" * 32)) is None


def test_no_claim_can_be_changed() -> None:
    payload, _, signature = value_of(session().begin(GRANT, is_secure=False)).partition(".")
    claims = json.loads(urlsafe_b64decode(payload))
    for name, changed in {
        "id": "admin", "scopes": ["orders:admin"], "until": 1e12, "fingerprint": "g"
    }.items():  # fmt: skip
        forged = urlsafe_b64encode(json.dumps(claims | {name: changed}).encode()).decode()
        assert recalled(f"{forged}.{signature}") is None
    assert recalled(payload) is None
    assert recalled(f"{payload}.") is None
    assert recalled(f"{payload}.{signature[:-1]}") is None
    assert recalled(f"{payload}.{signature}{signature}") is None
    assert recalled(f"{payload}.{signature.upper()}") is None


def test_it_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    value = value_of(session().begin(GRANT, is_secure=False))
    monkeypatch.setattr(f"{sessions.__name__}.time", lambda: now + SECONDS - 10)
    assert recalled(value) is not None
    monkeypatch.setattr(f"{sessions.__name__}.time", lambda: now + SECONDS + 10)
    assert recalled(value) is None


@given(st.text(st.characters(max_codepoint=255), max_size=300))
def test_no_cookie_breaks_it(value: str) -> None:
    assert recalled(value) is None


@given(st.binary(max_size=200))
def test_what_another_version_has_signed_is_not_recalled(payload: bytes) -> None:
    encoded = urlsafe_b64encode(payload)
    signature = session()._signature(encoded)
    assert recalled(f"{encoded.decode()}.{signature}") is None


def test_a_huge_cookie_is_not_looked_at() -> None:
    assert recalled("A" * 100_000 + "." + "0" * 64) is None
