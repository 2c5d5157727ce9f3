"""Keys in the header: which are taken, what is said about others, and how the file is kept up."""

import os
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from orders.entrypoints.http.access import key_file
from orders.entrypoints.http.access.credentials import MAX_BYTES, Denied, bearer
from orders.entrypoints.http.access.door import UNLIMITED
from orders.entrypoints.http.access.key_file import ApiKey, KeyFileError
from orders.entrypoints.http.access.keys import Keys
from orders.entrypoints.http.access.scopes import SCOPES
from tests.unit.http.access.access_harness import (
    NOW,
    app,
    client_from,
    content,
    new_key,
    protected,
    remove,
    write,
)
from tests.unit.http.access.access_harness import bearer as header
from tests.unit.http.harness import problem
from tests.waiting import until

PATHS = ["/orders", "/orders/uid"]


@pytest.fixture
def key(path: Path) -> str:
    return new_key(path, "orders:read")[1]


@pytest.fixture
async def client(path: Path, key: str) -> AsyncIterator[httpx.AsyncClient]:
    async with client_from(app(protected(path))) as client:
        yield client


def is_let_in(answer: httpx.Response) -> bool:
    assert answer.status_code in {200, 401, 404}
    return answer.status_code != 401


@pytest.mark.parametrize("url", PATHS)
@pytest.mark.parametrize(
    "form", ["Bearer {}", "bearer {}", "BEARER {}", "Bearer   {}", "Bearer {} "]
)
async def test_forms_that_are_taken(
    client: httpx.AsyncClient, key: str, url: str, form: str
) -> None:
    answer = await client.get(url, headers={"authorization": form.format(key)})
    assert is_let_in(answer)


@pytest.mark.parametrize("url", PATHS)
@pytest.mark.parametrize(
    "form",
    [
        "",
        " ",
        "Bearer",
        "Bearer ",
        "Bearer  ",
        "{}",
        "Basic {}",
        "Bearer{}",
        "Bearer {} {}",
        "Bearer {},Bearer {}",
        "Bearer\t{}",
        'Bearer "{}"',
        "Bearer {}x",
        "Bearer x{}",
        "Token {}",
        "Bearer a",
        "Bearer é{}",
        "Bearer " + "x" * 300_000,
        "Bearer {}" + "x" * 9000,
    ],
)
async def test_forms_that_are_not(client: httpx.AsyncClient, key: str, url: str, form: str) -> None:
    value = form.replace("{}", key).encode("latin-1")
    answer = await client.get(url, headers=[(b"authorization", value)])
    problem(answer, 401, "unauthorized")
    assert answer.headers["www-authenticate"] == 'Bearer realm="orders", error="invalid_token"'
    assert key not in answer.text


@pytest.mark.parametrize("url", PATHS)
async def test_two_headers_are_refused_even_if_both_are_right(
    client: httpx.AsyncClient, key: str, url: str
) -> None:
    twice = [("authorization", f"Bearer {key}")] * 2
    problem(await client.get(url, headers=twice), 401, "unauthorized")
    mixed = [("authorization", f"Bearer {key}"), ("Authorization", "Bearer x")]
    problem(await client.get(url, headers=mixed), 401, "unauthorized")


async def test_a_key_in_the_address_is_none(client: httpx.AsyncClient, key: str) -> None:
    for name in ("key", "access_token", "authorization"):
        problem(await client.get("/orders/uid", params={name: key}), 401, "unauthorized")


async def test_unknown_revoked_and_expired_keys_look_the_same(path: Path) -> None:
    revoked_id, revoked = new_key(path, "orders:read")
    _, expired = new_key(path, "orders:read", expires=NOW)
    key_file.edit(path, lambda keys: tuple(k for k in keys if k.id != revoked_id))
    unknown = f"orders_{revoked_id}_{'x' * 43}"
    answers = []
    async with client_from(app(protected(path))) as client:
        for each in (revoked, expired, unknown):
            answer = await client.get("/orders", headers=header(each))
            problem(answer, 401, "unauthorized")
            made = answer.headers["x-request-id"]
            answers.append((answer.text.replace(made, ""), len(answer.headers)))
    assert len(set(answers)) == 1


@pytest.mark.parametrize("url", sorted(UNLIMITED))
async def test_what_has_no_limit_does_not_fill_the_log(path: Path, url: str) -> None:
    settings = protected(path, http_allowed_hosts="orders.example")
    async with client_from(app(settings)) as client:
        with structlog.testing.capture_logs() as lines:
            for method in ("GET", "POST", "OPTIONS"):
                await client.request(method, url)
    assert "request" not in {line["event"] for line in lines}


async def test_why_a_key_is_refused_is_in_the_log(path: Path, key: str) -> None:
    key_id, _ = new_key(path, "orders:write")
    _, expired = new_key(path, "orders:read", expires=NOW)
    async with client_from(app(protected(path))) as client:
        with structlog.testing.capture_logs() as lines:
            await client.get("/orders", headers=header(expired))
            await client.get("/orders", headers=header("x"))
            await client.get("/orders", headers={"Authorization": "Basic x"})
            for target in ("/orders", "/orders/uid", "/no/such/path", "/orders/%ff", "/orders/a/b"):
                await client.request("PATCH" if "b" in target else "GET", target)  # no line:
                # anybody could fill the log
            await client.post("/orders", headers=header(key))
    requests = [line for line in lines if line["event"] == "request"]
    assert [line.get("denied") for line in requests] == [
        "expired", "not valid", "malformed", None
    ]  # fmt: skip
    assert {line["client"] for line in requests} == {"192.0.2.1"}
    assert requests[-1]["status"] == 403
    assert requests[-1]["key"] not in {"", key_id}
    assert key not in str(lines)


@given(st.binary(max_size=80))
def test_no_bytes_break_the_header(value: bytes) -> None:
    try:
        found = bearer([(b"authorization", value)])
    except Denied:
        return
    assert found is not None
    assert value.lower().startswith(b"bearer ")
    assert 0 < len(found) <= MAX_BYTES


# --- The file ---------------------------------------------------------------------------------


def test_a_key_is_random_and_not_in_the_file(path: Path) -> None:
    found = [new_key(path, "orders:read") for _ in range(20)]
    assert len({key for _, key in found}) == len({key_id for key_id, _ in found}) == 20
    text = path.read_text()
    for key_id, key in found:
        assert key.startswith(f"orders_{key_id}_")
        secret = key.removeprefix(f"orders_{key_id}_")
        assert len(secret) == 43  # 256 bits in base64
        assert secret not in text
    assert path.stat().st_mode & 0o777 == 0o640


def test_an_edit_keeps_the_mode_and_a_link_and_leaves_nothing_behind(path: Path) -> None:
    new_key(path, "orders:read")
    path.chmod(0o604)
    link = path.with_name("link.json")
    link.symlink_to(path)
    new_key(link, "orders:write")
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o604
    assert len(key_file.read(path)) == 2
    assert {each.name for each in path.parent.iterdir()} == {"keys.json", "link.json"}


def test_an_edit_that_fails_changes_nothing(path: Path) -> None:
    new_key(path, "orders:read")
    before = path.read_bytes()

    def fail(_: tuple[ApiKey, ...]) -> tuple[ApiKey, ...]:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        key_file.edit(path, fail)
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == ["keys.json"]


GOOD = (
    '{"id":"a","name":"n","scopes":["orders:read"],"created":"2026-01-01T00:00:00Z",'
    '"sha256":"' + "0" * 64 + '"}'
)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[]",
        "null",
        '{"keys": {}}',
        '{"keys": [{}]}',
        '{"keys": [' + GOOD + "," + GOOD + "]}",
        '{"keys": [' + GOOD.replace("orders:read", "orders:all") + "]}",
        '{"keys": [' + GOOD.replace('["orders:read"]', "[]") + "]}",
        '{"keys": [' + GOOD.replace("0" * 64, "0" * 63) + "]}",
        '{"keys": [' + GOOD.replace("00Z", "00") + "]}",
        '{"keys": [' + GOOD.replace('"name"', '"names"') + "]}",
        '{"keys": [' + GOOD + '], "more": 1}',
        "[" * 100_000,
        " " * (key_file.MAX_BYTES + 1),
    ],
)
def test_files_that_are_none(path: Path, content: str) -> None:
    write(path, content)
    with pytest.raises(KeyFileError) as caught:
        key_file.read(path)
    assert len(str(caught.value)) < 60


def test_bytes_that_are_no_text(path: Path) -> None:
    write(path, b'{"keys": [\xff]}')
    with pytest.raises(KeyFileError):
        key_file.read(path)


@pytest.mark.parametrize("where", ["nowhere/keys.json", ".", "a\0b"])
def test_files_that_cannot_be_read(tmp_path: Path, where: str) -> None:
    with pytest.raises(KeyFileError, match="cannot be read"):
        key_file.read(tmp_path / where)


@given(
    st.lists(st.sampled_from(SCOPES), min_size=1, unique=True),
    st.text(min_size=1),
    st.none() | st.datetimes(timezones=st.just(UTC)),
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    scopes: list[str],
    name: str,
    expires: datetime | None,
) -> None:
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    name = name.encode(errors="replace").decode()
    stored, key = key_file.new_key(name, scopes, NOW, expires)  # type: ignore[arg-type]
    key_file.edit(path, lambda _: (stored,), create=True)
    assert key_file.read(path) == (stored,)
    assert bytes.fromhex(stored.sha256) == key_file.digest(key.encode())


# --- Changes ----------------------------------------------------------------------------------


async def test_a_change_is_noticed_while_running(path: Path, key: str) -> None:
    keys = Keys(path, watch_seconds=0.01)
    async with keys.running():
        _, added = new_key(path, "orders:write")
        await until(lambda: keys.known(added.encode()) is not None)
        assert keys.known(key.encode()) is not None
        key_file.edit(path, lambda _: ())
        await until(lambda: keys.known(key.encode()) is None)
        assert keys.known(added.encode()) is None


def test_an_edit_in_place_that_keeps_size_and_mtime_is_noticed(path: Path, key: str) -> None:
    keys = Keys(path)
    before = path.stat()
    own = key_file.digest(key.encode()).hex().encode()
    write(path, content(path).replace(own, b"0" * len(own)))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    keys.reload()
    assert keys.known(key.encode()) is None


async def test_a_broken_file_keeps_the_keys_and_is_logged_once(path: Path, key: str) -> None:
    with structlog.testing.capture_logs() as lines:
        keys = Keys(path, watch_seconds=0.01)
        async with keys.running():
            good = content(path)
            write(path, "{")
            await until(lambda: "keys cannot be read" in {line["event"] for line in lines})
            remove(path)
            await until(lambda: [x["event"] for x in lines].count("keys cannot be read") == 2)
            assert keys.known(key.encode()) is not None
            write(path, good)
            await until(lambda: [line["event"] for line in lines].count("keys read") == 2)
    failed = [line for line in lines if line["event"] == "keys cannot be read"]
    assert [line["kept"] for line in failed] == [1, 1]
    assert len({line["reason"] for line in failed}) == 2


def test_a_key_ends_by_itself(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expires = datetime.now(UTC) + timedelta(hours=1)
    _, key = new_key(path, "orders:read", expires=expires)
    keys = Keys(path)
    assert keys.known(key.encode()) is not None
    monkeypatch.setattr("orders.entrypoints.http.access.keys.time", expires.timestamp)
    assert keys.known(key.encode()) is None


def test_a_replaced_secret_of_kubernetes_is_another_version(tmp_path: Path) -> None:
    """Kubernetes swaps a link to a folder; the path of the file stays the same."""
    for folder in ("1", "2"):
        (tmp_path / folder).mkdir()
    _, first = new_key(tmp_path / "1" / "keys.json", "orders:read")
    _, second = new_key(tmp_path / "2" / "keys.json", "orders:read")
    data = tmp_path / "data"
    data.symlink_to("1")
    keys = Keys(data / "keys.json")
    assert keys.known(first.encode()) is not None
    swap = tmp_path / "swap"
    swap.symlink_to("2")
    os.replace(swap, data)  # noqa: PTH105
    keys.reload()
    assert keys.known(first.encode()) is None
    assert keys.known(second.encode()) is not None


async def test_a_look_that_fails_is_not_the_last_one(
    path: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine out of threads, for example: afterwards keys are still revoked."""
    failures = iter([RuntimeError("can't start new thread")] * 3)

    async def in_thread(work: Callable[[], None]) -> None:
        for failure in failures:
            raise failure
        work()

    monkeypatch.setattr(f"{Keys.__module__}.in_daemon_thread", in_thread)
    keys = Keys(path, watch_seconds=0.01)
    async with keys.running():
        key_file.edit(path, lambda _: ())
        await until(lambda: keys.known(key.encode()) is None)
