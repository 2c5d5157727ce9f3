"""ORDERS_REDIS_URL in all its forms: what it means, and that no option is ignored in silence."""

from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.connection import SSLConnection
from redis.asyncio.sentinel import SentinelConnectionPool, SentinelManagedSSLConnection

from orders import addresses
from orders.adapters.redis_lru.client import client_factory
from orders.addresses import parse_redis, redis_fault, shown_redis
from orders.config import ConfigError, load

FORMS = {
    "redis": "redis://h",
    "rediss": "rediss://h",
    "redis+cluster": "redis+cluster://a:1,b",
    "rediss+cluster": "rediss+cluster://a:1,b",
    "redis+sentinel": "redis+sentinel://a:1,b/service",
    "rediss+sentinel": "rediss+sentinel://a:1,b/service",
}
VALUES = {
    "db": "3",
    "username": "u",
    "password": "p",
    "sentinel_username": "su",
    "sentinel_password": "sp",
    "client_name": "me",
    "health_check_interval": "7",
    "socket_keepalive": "no",
    "ssl_ca_certs": "/ca.pem",
    "ssl_ca_path": "/cas",
    "ssl_certfile": "/cert.pem",
    "ssl_keyfile": "/key.pem",
    "ssl_password": "kp",
    "ssl_cert_reqs": "optional",
    "ssl_check_hostname": "no",
    "ssl_ciphers": "DEFAULT",
    "ssl_min_version": "771",
}
LOGIN = {"username", "password"}
PLAIN = {*LOGIN, "client_name", "health_check_interval", "socket_keepalive"}
TLS = {name for name in VALUES if name.startswith("ssl_")}
OF_SENTINELS = {"sentinel_username", "sentinel_password"}
USABLE = {
    "redis": {*PLAIN, "db"},
    "rediss": {*PLAIN, "db", *TLS},
    "redis+cluster": PLAIN,
    "rediss+cluster": {*PLAIN, *TLS} - {"ssl_ca_path", "ssl_password"},
    "redis+sentinel": {*PLAIN, "db", *OF_SENTINELS},
    "rediss+sentinel": {*PLAIN, "db", *OF_SENTINELS, *TLS},
}
ALL = [(scheme, name) for scheme in FORMS for name in VALUES]
HEEDED = [(scheme, name) for scheme, name in ALL if name in USABLE[scheme]]
REFUSED = [(scheme, name) for scheme, name in ALL if name not in USABLE[scheme]]

# Of all that may be in a password, percent-encoded as it must be.
texts = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20)
hosts = st.lists(
    st.tuples(st.from_regex(r"[a-z][a-z0-9-]{0,9}", fullmatch=True), st.integers(1, 65535)),
    min_size=1,
    max_size=4,
)


def test_these_are_all_options() -> None:
    assert set(VALUES) == set(addresses._REDIS_OPTIONS)


def connection_options(url: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What connections to servers, and those to sentinels, are made with."""
    client = client_factory(url, timeout=0.1, max_connections=3)()
    if isinstance(client, RedisCluster):
        return client.connection_kwargs, {}
    pool = client.connection_pool
    sentinels: dict[str, Any] = {}
    if isinstance(pool, SentinelConnectionPool):
        sentinels = pool.sentinel_manager.sentinels[0].connection_pool.connection_kwargs
    return pool.connection_kwargs, sentinels


@pytest.mark.parametrize(("scheme", "name"), HEEDED)
def test_an_option_that_is_taken_reaches_the_connections(scheme: str, name: str) -> None:
    servers, sentinels = connection_options(f"{FORMS[scheme]}?{name}={VALUES[name]}")
    expected = {"no": "False"}.get(VALUES[name], VALUES[name])
    if name in OF_SENTINELS:
        name = name.removeprefix("sentinel_")
        assert str(sentinels[name]) == expected
        assert name not in servers or servers[name] is None
    else:
        assert str(servers[name]) == expected
        if sentinels and name not in {*LOGIN, "db"}:
            assert str(sentinels[name]) == expected
        elif sentinels:
            assert str(sentinels.get(name)) != expected


@pytest.mark.parametrize(("scheme", "name"), REFUSED)
def test_an_option_of_another_form_is_refused_by_name(scheme: str, name: str) -> None:
    url = f"{FORMS[scheme]}?{name}={VALUES[name]}"
    with pytest.raises(ConfigError) as caught:
        load({"ORDERS_REDIS_URL": url}, dotenv=None)
    (fault,) = caught.value.faults
    assert fault.startswith(f"ORDERS_REDIS_URL: option {name} cannot be used")
    assert all(known in fault for known in USABLE[scheme])


@given(
    st.sampled_from(list(FORMS)),
    st.from_regex(r"[a-z_]{1,15}", fullmatch=True).filter(lambda name: name not in VALUES),
)
def test_an_unknown_option_is_refused_by_name(scheme: str, name: str) -> None:
    fault = redis_fault(f"{FORMS[scheme]}?{name}=1") or ""
    assert fault.startswith(f"option {name} is not known")
    assert all(known in fault for known in USABLE[scheme])


@given(st.sampled_from(list(FORMS)), texts)
def test_what_is_no_name_may_be_a_part_of_a_password_and_is_not_said(
    scheme: str, text: str
) -> None:
    text = f"hunter2 {text}"
    fault = redis_fault(f"{FORMS[scheme]}?{quote(text, safe='')}=1") or ""
    assert fault.startswith("an option is not known")
    assert "hunter2" not in fault


@pytest.mark.parametrize(
    "url",
    [
        "redis://h?client_name=a&client_name=b",
        "redis://h/1?db=2",
        "redis://u:p@h?password=q",
        "redis+sentinel://a/s/1?db=2",
    ],
)
def test_of_two_values_none_is_ignored_in_silence(url: str) -> None:
    assert "twice" in (redis_fault(url) or "")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("redis+sentinel://a:1", "the service"),
        ("redis+sentinel://a:1/", "the service"),
        ("redis+sentinel://a:1/s/first", "number of a database"),
        ("redis+sentinel://a:1/s/1/2", "number of a database"),
        ("redis+sentinel://a:1,,b:2/s", "a host"),
        ("redis+sentinel:///s", "a host"),
        ("rediss+cluster://a:1/0", "no path"),
        ("rediss+cluster://a:1?ssl_ca_certs=/nowhere", "cannot be read"),
        ("rediss+sentinel://a:1/s?ssl_cert_reqs=never", "must be one of"),
        ("redis+sentinel://a:1/s?sentinel_password=", "is empty"),
        ("redis://a,b", "redis+sentinel://"),
        ("redis+sentinels://a/s", "rediss+sentinel://"),
    ],
)
def test_what_else_is_refused(url: str, says: str) -> None:
    assert says in (redis_fault(url) or "")


@given(
    scheme=st.sampled_from(list(FORMS)),
    nodes=hosts,
    username=texts,
    password=texts,
    database=st.none() | st.integers(0, 15),
    service=texts,
    of_sentinels=texts,
)
def test_what_is_written_is_what_is_read_and_no_secret_is_shown(
    *,
    scheme: str,
    nodes: list[tuple[str, int]],
    username: str,
    password: str,
    database: int | None,
    service: str,
    of_sentinels: str,
) -> None:
    password, of_sentinels = f"hunter2{password}", f"hunter3{of_sentinels}"
    kind = scheme.partition("+")[2]
    nodes = nodes if kind else nodes[:1]
    login = f"{quote(username, safe='')}:{quote(password, safe='')}"
    url = f"{scheme}://{login}@{','.join(f'{host}:{port}' for host, port in nodes)}"
    expected = {"username": username, "password": password}
    if kind == "sentinel":
        url += f"/{quote(service, safe='')}"
    if kind != "cluster" and database is not None:
        url += f"/{database}"
        expected["db"] = str(database)
    if kind == "sentinel":
        url += "?" + urlencode({"sentinel_password": of_sentinels})
        expected["sentinel_password"] = of_sentinels
    address = parse_redis(url)
    assert redis_fault(url) is None
    assert list(address.hosts) == nodes
    assert address.options == expected
    assert address.tls == scheme.startswith("rediss")
    assert address.service == (service if kind == "sentinel" else "")
    shown = shown_redis(url)
    assert "hunter" not in shown
    assert "hunter" not in repr(address)
    assert all(f"{host}:{port}" in shown for host, port in nodes)


@pytest.mark.parametrize("scheme", FORMS)
def test_each_form_makes_its_client_and_encrypts_as_it_says(scheme: str) -> None:
    client = client_factory(FORMS[scheme], timeout=0.1, max_connections=3)()
    tls = scheme.startswith("rediss")
    if isinstance(client, RedisCluster):
        assert "cluster" in scheme
        assert (client.connection_kwargs["connection_class"] is SSLConnection) == tls
        assert [node.name for node in client.startup_nodes] == ["a:1", "b:6379"]
        return
    assert isinstance(client, Redis)
    pool = client.connection_pool
    if not isinstance(pool, SentinelConnectionPool):
        assert "sentinel" not in scheme
        assert (pool.connection_class is SSLConnection) == tls
        return
    assert (pool.connection_class is SentinelManagedSSLConnection) == tls
    sentinels = [sentinel.connection_pool for sentinel in pool.sentinel_manager.sentinels]
    assert {sentinel.connection_class is SSLConnection for sentinel in sentinels} == {tls}
    assert [sentinel.connection_kwargs["port"] for sentinel in sentinels] == [1, 26379]
    assert pool.service_name == "service"
