"""JSON Web Tokens: what is verified, and the issuer's keys."""

import asyncio
import base64
import hashlib
import hmac
import json
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.message import Message
from http.client import IncompleteRead
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

import httpx
import jwt
import msgspec
import pytest
import structlog
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from prometheus_client import REGISTRY

from orders.domain.errors import Unavailable
from orders.entrypoints.http.access import signing_keys, tokens
from orders.entrypoints.http.access.credentials import Denied
from orders.entrypoints.http.access.signing_keys import SigningKeys
from orders.entrypoints.http.access.tokens import Tokens
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
from tests.unit.http.harness import SETTINGS, problem
from tests.waiting import until

ISSUER, AUDIENCE = "https://login.example", "orders"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
SMALL = rsa.generate_private_key(public_exponent=65537, key_size=1024)
EC = ec.generate_private_key(ec.SECP256R1())


def public(key: Any, **more: str) -> dict[str, Any]:
    """The public key as in a JWKS."""
    algorithm = ECAlgorithm if key is EC else RSAAlgorithm
    return {**algorithm.to_jwk(key.public_key(), as_dict=True), **more}


JWKS: dict[str, Any] = {"keys": [public(RSA, kid="rsa"), public(EC, kid="ec", use="sig")]}


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    found = {"iss": ISSUER, "aud": AUDIENCE, "sub": "someone", "exp": now + 600, "iat": now}
    found |= {"scope": "openid orders:read"} | changes
    return {name: value for name, value in found.items() if value is not None}


def token(
    key: Any = RSA, algorithm: str = "RS256", headers: Mapping[str, Any] | None = None, **more: Any
) -> str:
    given = {"kid": "ec" if key is EC else "rsa"} if headers is None else dict(headers)
    return jwt.encode(claims(**more), key, algorithm, headers=given)


@pytest.fixture
def jwks(tmp_path: Path) -> Path:
    path = tmp_path / "jwks.json"
    write(path, json.dumps(JWKS))
    return path


def verifier(jwks: Path, *algorithms: str, leeway: float = 30) -> Tokens:
    chosen = algorithms or ("RS256", "ES256")
    return Tokens(SigningKeys(str(jwks), chosen, 0.0), ISSUER, AUDIENCE, chosen, leeway)


def settings(jwks: Path, **more: Any) -> Any:
    return msgspec.structs.replace(
        SETTINGS,
        http_auth="jwt",
        http_jwt_issuer=ISSUER,
        http_jwt_audience=AUDIENCE,
        http_jwt_jwks=str(jwks),
        **more,
    )


async def accepts(verifier: Tokens, given: bytes) -> bool:
    grant = await verifier.verify(given)
    return grant.principal.scopes == {"orders:read"}


async def reason(verifier: Tokens, given: str | bytes) -> str:
    with pytest.raises(Denied) as caught:
        await verifier.verify(given.encode() if isinstance(given, str) else given)
    return caught.value.reason


async def test_a_session_is_only_for_the_access_that_it_began_with(
    jwks: Path, tmp_path: Path
) -> None:
    keys = tmp_path / "keys.json"
    _, key = new_key(keys, "orders:read")
    async with client_from(app(protected(keys, http_session_secret=SECRET))) as client:
        await client.post("/login", data={"key": key})
        assert (await client.get("/orders")).status_code == 200
        cookies = dict(client.cookies)
    by_tokens = settings(jwks, http_session_secret=SECRET)
    async with client_from(app(by_tokens)) as client:
        client.cookies.update(cookies)
        problem(await client.get("/orders"), 401, "unauthorized")
        client.cookies.clear()
        await client.post("/login", data={"key": token()})
        assert (await client.get("/orders")).status_code == 200
        cookies = dict(client.cookies)
    for change in ({"http_jwt_issuer": "https://other.example"}, {"http_jwt_audience": "others"}):
        async with client_from(app(msgspec.structs.replace(by_tokens, **change))) as client:
            client.cookies.update(cookies)
            problem(await client.get("/orders"), 401, "unauthorized")


async def test_a_token_lets_in_by_its_scopes(jwks: Path) -> None:
    async with client_from(app(settings(jwks))) as client:
        for key, algorithm in ((RSA, "RS256"), (EC, "ES256")):
            sent = bearer(token(key, algorithm))
            for _ in range(2):  # verified, and known
                assert (await client.get("/orders", headers=sent)).status_code == 200
                assert (await client.get("/orders/uid", headers=sent)).status_code == 404
                problem(await client.post("/random/1", headers=sent), 403, "forbidden")


@pytest.mark.parametrize(
    ("given", "scopes"),
    [
        ({"scope": "orders:read orders:write"}, {"orders:read", "orders:write"}),
        ({"scope": "orders:readx Orders:read read"}, set()),
        ({"scope": None}, set()),
        ({"scope": None, "scp": ["orders:admin", "other"]}, {"orders:admin"}),
        ({"scope": None, "scp": "orders:write"}, {"orders:write"}),
        ({"scope": "orders:read", "scp": ["orders:write"]}, {"orders:read", "orders:write"}),
        ({"scope": ["orders:read"]}, {"orders:read"}),
        ({"scope": {"orders:read": True}}, set()),
        ({"scope": 7, "scp": [["orders:read"], None]}, set()),
    ],
)
async def test_scopes(jwks: Path, given: dict[str, Any], scopes: set[str]) -> None:
    grant = await verifier(jwks).verify(token(**given).encode())
    assert grant.principal.scopes == scopes
    assert grant.principal.id == "someone"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"aud": "another"}, "not valid"),
        ({"aud": ["another", "third"]}, "not valid"),
        ({"aud": None}, "not valid"),
        ({"iss": ISSUER + "/"}, "not valid"),
        ({"iss": None}, "not valid"),
        ({"sub": None}, "not valid"),
        ({"sub": ""}, "malformed"),
        ({"sub": "x" * 256}, "malformed"),
        ({"exp": None}, "not valid"),
        ({"exp": int(time.time()) - 100}, "expired"),
        ({"exp": "never"}, "not valid"),
        ({"exp": 1e400}, "not valid"),
        ({"nbf": int(time.time()) + 1000}, "not valid"),
        ({"iat": int(time.time()) + 1000}, "not valid"),
        ({"sub": "\ud800"}, "malformed"),
        ({"exp": 10**400}, "malformed"),
    ],
)
async def test_claims_that_are_refused(jwks: Path, changes: dict[str, Any], why: str) -> None:
    assert await reason(verifier(jwks), token(**changes)) == why


async def test_the_leeway(jwks: Path) -> None:
    just_over = token(exp=int(time.time()) - 20)
    assert await accepts(verifier(jwks, leeway=30), just_over.encode())
    assert await reason(verifier(jwks, leeway=5), just_over) == "expired"


async def test_several_audiences_may_be_named(jwks: Path) -> None:
    assert await accepts(verifier(jwks), token(aud=["another", AUDIENCE]).encode())


def unsigned(header: dict[str, Any], signature: Callable[[bytes], bytes] = lambda _: b"") -> str:
    """A token made by hand, as an attacker would."""
    parts = [
        base64.urlsafe_b64encode(json.dumps(x).encode()).rstrip(b"=") for x in (header, claims())
    ]
    signed = b".".join(parts)
    return (signed + b"." + base64.urlsafe_b64encode(signature(signed)).rstrip(b"=")).decode()


PEM = RSA.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", None, 7, ["RS256"], {"a": 1}])
async def test_no_algorithm(jwks: Path, algorithm: Any) -> None:
    assert await reason(verifier(jwks), unsigned({"alg": algorithm, "kid": "rsa"})) in {
        "not valid", "malformed"
    }  # fmt: skip
    assert await reason(verifier(jwks), unsigned({"kid": "rsa"})) == "not valid"


@pytest.mark.parametrize("secret", [PEM, PEM.strip(), json.dumps(public(RSA)).encode(), b""])
async def test_a_public_key_is_no_shared_secret(jwks: Path, secret: bytes) -> None:
    def sign(signed: bytes) -> bytes:
        return hmac.new(secret, signed, hashlib.sha256).digest()

    for algorithm in ("HS256", "RS256", "ES256"):
        for kid in ("rsa", "ec"):
            forged = unsigned({"alg": algorithm, "kid": kid}, sign)
            assert await reason(verifier(jwks), forged) == "not valid"


async def test_a_shared_secret_in_the_jwks_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    shared = {"kty": "oct", "kid": "oct", "k": base64.urlsafe_b64encode(b"x" * 32).decode()}
    write(path, json.dumps({"keys": [shared, *JWKS["keys"]]}))
    forged = token(b"x" * 32, "HS256", {"kid": "oct"})
    assert await reason(verifier(path), forged) == "not valid"


async def test_only_pinned_algorithms(jwks: Path) -> None:
    assert await reason(verifier(jwks, "ES256"), token()) == "not valid"
    assert await reason(verifier(jwks), token(algorithm="PS256")) == "not valid"
    assert await accepts(verifier(jwks, "PS256"), token(algorithm="PS256").encode())


async def test_a_key_is_used_with_its_own_algorithm_alone(tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    write(path, json.dumps({"keys": [public(RSA, kid="rsa", alg="RS256")]}))
    both = verifier(path, "RS256", "PS256")
    assert await accepts(both, token().encode())
    assert await reason(both, token(algorithm="PS256")) == "not valid"


async def test_a_signature_of_another(jwks: Path) -> None:
    assert await reason(verifier(jwks), token(OTHER)) == "not valid"
    assert await reason(verifier(jwks), token(EC, "ES256", {"kid": "rsa"})) == "not valid"
    head, body, _ = token().split(".")
    for signature in ("", "AAAA", token(OTHER).split(".")[2]):
        assert await reason(verifier(jwks), f"{head}.{body}.{signature}") == "not valid"


async def test_a_key_for_encryption_or_that_is_too_short_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    keys = [public(RSA, kid="rsa", use="enc"), public(SMALL, kid="small"), public(EC, kid="ec")]
    write(path, json.dumps({"keys": keys}))
    assert await reason(verifier(path), token()) == "not valid"
    with pytest.warns(jwt.warnings.InsecureKeyLengthWarning):
        short = token(SMALL, headers={"kid": "small"})
    assert await reason(verifier(path), short) == "not valid"


@pytest.mark.parametrize("name", ["jku", "x5u", "jwk", "x5c"])
async def test_a_token_cannot_bring_its_key(jwks: Path, name: str) -> None:
    brought: Any = public(OTHER, kid="rsa") if name == "jwk" else "https://evil.example/jwks"
    forged = token(OTHER, headers={"kid": "rsa", name: brought})
    assert await reason(verifier(jwks), forged) == "not valid"


@pytest.mark.parametrize("kid", [7, None, ["rsa"], {}, "../../etc/passwd", "", "rsa\0"])
async def test_ids_of_keys_that_are_none(jwks: Path, kid: Any) -> None:
    header, body, signature = token().split(".")
    changed = base64.urlsafe_b64encode(json.dumps({"alg": "RS256", "kid": kid}).encode())
    given = f"{changed.rstrip(b'=').decode()}.{body}.{signature}"
    assert await reason(verifier(jwks), given) in {"not valid", "malformed"}
    assert header


async def test_the_only_key_needs_no_id(tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    write(path, json.dumps({"keys": [public(RSA, kid="rsa")]}))
    assert await accepts(verifier(path), token(headers={}).encode())
    write(path, json.dumps(JWKS))
    assert await reason(verifier(path), token(headers={})) == "not valid"


@given(st.binary(max_size=200) | st.text("abcXYZ09-_.=", max_size=200).map(str.encode))
async def test_no_bytes_break_the_verification(given_bytes: bytes) -> None:
    found = Tokens(SigningKeys("/nowhere", ["RS256"]), ISSUER, AUDIENCE, ["RS256"], 0)
    with pytest.raises((Denied, Unavailable)):
        await found.verify(given_bytes)


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(max_size=5),
        lambda x: (
            st.lists(x, max_size=3)
            | st.dictionaries(st.sampled_from(["alg", "kid", "crit", "b64", "typ"]), x, max_size=4)
        ),
    )
)
async def test_no_header_breaks_the_verification(header: Any) -> None:
    found = Tokens(SigningKeys("/nowhere", ["RS256"]), ISSUER, AUDIENCE, ["RS256"], 0)
    with pytest.raises((Denied, Unavailable)):
        await found.verify(unsigned(header).encode())


async def test_a_token_of_deep_json(jwks: Path) -> None:
    deep = base64.urlsafe_b64encode(b"[" * 5000).rstrip(b"=").decode()
    assert await reason(verifier(jwks), f"{deep}.{deep}.x") == "malformed"


async def test_a_known_token_ends_in_time(jwks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = verifier(jwks, leeway=0)
    expires = int(time.time()) + 600
    given = token(exp=expires).encode()
    await found.verify(given)
    assert found.known(given) is not None
    monkeypatch.setattr(tokens, "time", lambda: expires)
    assert found.known(given) is None


async def test_known_tokens_are_bounded(jwks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "VERIFIED_TOKENS", 2)
    found = verifier(jwks)
    given = [token(sub=str(number)).encode() for number in range(4)]
    for each in given:
        await found.verify(each)
    assert [found.known(each) is not None for each in given] == [False, False, True, True]


# --- The issuer's keys ------------------------------------------------------------------------


async def test_a_new_key_is_found_and_a_withdrawn_one_ends_known_tokens(jwks: Path) -> None:
    found = verifier(jwks)
    old = token().encode()
    await found.verify(old)
    rotated = {"keys": [public(OTHER, kid="other"), public(EC, kid="ec")]}
    write(jwks, json.dumps(rotated))
    assert await accepts(found, token(OTHER, headers={"kid": "other"}).encode())
    assert found.known(old) is None
    assert await reason(found, old) == "not valid"


async def test_unknown_ids_do_not_flood_the_issuer(jwks: Path) -> None:
    keys = SigningKeys(str(jwks), ["RS256"], min_interval=3600)
    found = Tokens(keys, ISSUER, AUDIENCE, ["RS256"], 0)
    await found.verify(token().encode())
    generation = keys.generation
    write(jwks, json.dumps({"keys": [public(OTHER, kid="other")]}))
    for number in range(50):
        assert await reason(found, token(OTHER, headers={"kid": f"k{number}"})) == "not valid"
    assert keys.generation == generation
    assert await accepts(found, token(sub="again").encode())


async def test_one_look_for_all_who_wait(monkeypatch: pytest.MonkeyPatch, jwks: Path) -> None:
    looks = []

    def look(source: str) -> bytes:
        looks.append(source)
        return content(jwks)

    monkeypatch.setattr(signing_keys, "_content", look)
    found = verifier(jwks)
    given = [token(sub=str(number)).encode() for number in range(20)]
    await asyncio.gather(*map(found.verify, given))
    assert len(looks) == 1


async def test_an_outage_keeps_the_keys_and_is_logged_once(jwks: Path) -> None:
    with structlog.testing.capture_logs() as lines:
        found = verifier(jwks)
        await found.verify(token().encode())
        for broken in ("{", "[]", '{"keys": {}}'):
            write(jwks, broken)
            assert await reason(found, token(OTHER, headers={"kid": "new"})) == "not valid"
            assert await reason(found, token(OTHER, headers={"kid": "newer"})) == "not valid"
            assert await accepts(found, token(sub="still").encode())
        write(jwks, json.dumps(JWKS))
        assert await reason(found, token(OTHER, headers={"kid": "new"})) == "not valid"
    events = [line["event"] for line in lines]
    assert events == [
        "signing keys read",
        "signing keys cannot be read",
        "signing keys can be read again",
    ]


@pytest.mark.parametrize("left", [[], [{"kty": "oct"}], [public(EC, kid="ec")], [7]])
async def test_the_last_key_can_be_withdrawn(jwks: Path, left: list[Any]) -> None:
    with structlog.testing.capture_logs() as lines:
        found = verifier(jwks, "RS256")
        old = token().encode()
        await found.verify(old)
        write(jwks, json.dumps({"keys": left}))
        assert await reason(found, token(headers={"kid": "new"})) == "not valid"
        assert found.known(old) is None
        assert await reason(found, old) == "not valid"
        assert await reason(found, token(sub="signed afterwards")) == "not valid"
        write(jwks, json.dumps(JWKS))
        assert await accepts(found, old)
    assert [(line["event"], line["keys"]) for line in lines] == [
        ("signing keys read", 2),
        ("no signing key is usable", len(left)),
        ("signing keys read", 2),
    ]


async def test_a_jwks_without_usable_keys_at_the_start(jwks: Path) -> None:
    write(jwks, '{"keys": []}')
    with structlog.testing.capture_logs() as lines:
        async with client_from(app(settings(jwks))) as client:
            problem(await client.get("/orders", headers=bearer(token())), 401, "unauthorized")
    assert [line for line in lines if line["event"] == "no signing key is usable"] == [
        {
            "event": "no signing key is usable",
            "log_level": "warning",
            "keys": 0,
            "algorithms": ("RS256", "ES256"),
        }
    ]


class Dripping:
    """A host that sends a byte of a header now and then, and never ends; counts who came."""

    def __init__(self) -> None:
        self.connections = 0
        self.ended = asyncio.Event()

    async def __call__(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(ConnectionError):
            writer.write(b"HTTP/1.1 200 OK\r\nX: ")
            while not self.ended.is_set():
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.01)  # how fast it drips; nobody waits for it
        writer.close()


async def test_a_host_that_drips_is_asked_once_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing_keys, "TIMEOUT", 0.1)
    host = Dripping()
    server = await asyncio.start_server(host, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    keys = SigningKeys(f"http://127.0.0.1:{port}/", ["RS256"], 0.0)
    found = Tokens(keys, ISSUER, AUDIENCE, ["RS256"], 0)

    async def is_asked_again() -> bool:
        with suppress(Unavailable):
            await found.verify(token().encode())
        return host.connections == 2

    with structlog.testing.capture_logs() as lines:
        for _ in range(3):
            with pytest.raises(Unavailable):
                await found.verify(token().encode())
            await until(lambda: host.connections > 0)
        assert host.connections == 1
        assert [line["reason"] for line in lines] == ["no answer in time"]
        host.ended.set()
        await until(is_asked_again)
    host.ended.set()
    server.close()


async def test_look_ups_without_any_keys_yet_are_not_served_to_the_alerts(tmp_path: Path) -> None:
    labels = {"route": "/orders/{order_uid}", "method": "GET", "status": "503"}

    def counted() -> float:
        name = "orders_http_request_duration_seconds_count"
        return REGISTRY.get_sample_value(name, labels) or 0

    before = counted()
    async with client_from(app(settings(tmp_path / "nothing"))) as client:
        problem(await client.get("/orders/a", headers=bearer(token())), 503, "unavailable")
    assert counted() == before + 1


async def test_without_any_keys_yet_it_is_our_fault(tmp_path: Path) -> None:
    async with client_from(app(settings(tmp_path / "nothing"))) as client:
        answer = await client.get("/orders", headers=bearer(token()))
        problem(answer, 503, "unavailable")
        assert int(answer.headers["retry-after"]) > 0
        for path in ("/orders/a", "/orders/%ff", "/orders/%zz"):
            headers = {**bearer(token()), "Accept": "text/html"}
            answer = await client.get(path, headers=headers)
            assert answer.status_code == 503
            assert answer.headers["content-type"].startswith("text/html")
        problem(await client.get("/orders"), 401, "unauthorized")
        assert (await client.get("/health/live")).status_code == 200


async def test_keys_are_fetched_at_the_start(jwks: Path) -> None:
    keys = SigningKeys(str(jwks), ["RS256"])
    found = Tokens(keys, ISSUER, AUDIENCE, ["RS256"], 0)
    async with found.running():
        await until(lambda: keys.generation == 1)


async def test_a_client_that_leaves_does_not_stop_the_fetch(
    monkeypatch: pytest.MonkeyPatch, jwks: Path
) -> None:
    began, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_: object) -> bytes:
        began.set()
        await go_on.wait()
        return content(jwks)

    monkeypatch.setattr(signing_keys, "in_daemon_thread", slow)
    found = verifier(jwks)
    leaving = asyncio.create_task(found.verify(token().encode()))
    staying = asyncio.create_task(found.verify(token(sub="b").encode()))
    await began.wait()
    leaving.cancel()
    go_on.set()
    assert (await staying).principal.id == "b"


async def test_a_subject_is_not_logged(jwks: Path) -> None:
    person = "someone@example.com"
    served = app(settings(jwks, http_rate_limit="1/minute"))
    async with client_from(served) as client:
        with structlog.testing.capture_logs() as lines:
            for _ in range(3):
                await client.post("/random/1", headers=bearer(token(sub=person)))
    assert {line["event"] for line in lines} >= {"request", "client is limited"}
    assert person not in str(lines)


async def test_the_page_takes_a_token_and_its_session_ends_with_it(jwks: Path) -> None:
    expires = datetime.now(UTC).timestamp() + 600
    async with client_from(app(settings(jwks))) as client:
        done = await client.post("/login", data={"key": token(exp=int(expires))})
        assert done.status_code == 303
        (age,) = [p for p in done.headers["set-cookie"].split("; ") if p.startswith("Max-Age=")]
        assert 590 < int(age.removeprefix("Max-Age=")) <= 630
        assert (await client.get("/orders")).status_code == 200
        assert isinstance(client, httpx.AsyncClient)


JSON_VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=20)
JWK_NAMES = ["kty", "crv", "alg", "use", "kid", "n", "e", "x", "y", "k", "d", "oth", "key_ops"]
JWK_VALUES = JSON_VALUES | st.sampled_from(
    ["RSA", "EC", "OKP", "oct", "P-256", "Ed25519", "RS256", "ES256", "EdDSA", "AQAB", "AA", "sig"]
)
ALL_ALGORITHMS = ["RS256", "PS512", "ES256", "ES384", "EdDSA"]


@given(st.lists(st.dictionaries(st.sampled_from(JWK_NAMES), JWK_VALUES) | JSON_VALUES, max_size=4))
def test_no_key_of_the_issuer_breaks_the_others(strange: list[Any]) -> None:
    found = signing_keys._usable([*strange, public(RSA, kid="rsa")], ALL_ALGORITHMS)
    assert ("rsa", "RS256") in found


@given(st.binary(max_size=50) | st.text(max_size=50).map(str.encode))
def test_what_is_no_jwks_is_refused(content_given: bytes) -> None:
    with pytest.raises(ValueError, match="not a JWKS"):
        signing_keys._published(content_given)


async def test_a_fetch_that_fails_in_an_unforeseen_way_is_not_the_last_one(
    jwks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = iter([RuntimeError("can't start new thread")])

    async def in_thread(work: Callable[[], bytes]) -> bytes:
        for failure in failures:
            raise failure
        return work()

    monkeypatch.setattr(signing_keys, "in_daemon_thread", in_thread)
    with structlog.testing.capture_logs() as lines:
        keys = SigningKeys(str(jwks), ["RS256"], 0.01)
        async with Tokens(keys, ISSUER, AUDIENCE, ["RS256"], 0).running():
            await until(lambda: keys.generation == 1)
    assert lines[0]["reason"] == "failed with RuntimeError"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (HTTPError("https://i/secret", 503, "busy", Message(), None), "status 503"),
        (URLError(TimeoutError()), "no answer in time"),
        (
            URLError(socket.gaierror(-2, "Name or service not known")),
            "the name of the host is not known",
        ),
        (URLError(ConnectionRefusedError(111, "Connection refused")), "connection refused"),
        (URLError("no host given"), "the connection failed"),
        (FileNotFoundError(2, "No such file or directory"), "no such file or directory"),
        (IncompleteRead(b"secret"), "failed with IncompleteRead"),
    ],
)
def test_reasons_hold_no_address_and_no_content(error: Exception, reason: str) -> None:
    assert signing_keys._reason(error) == reason
