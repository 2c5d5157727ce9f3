"""The address of a client: whose X-Forwarded-For is believed."""

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import msgspec
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from orders.entrypoints.http.access.clients import TrustedProxies, group, parse, parse_networks
from tests.unit.http.access.access_harness import app, client_from
from tests.unit.http.harness import SETTINGS, problem

PROXIES = TrustedProxies(parse_networks("10.0.0.0/8, 192.0.2.7,2001:db8:1::/48"))


def resolved(peer: str | None, *forwarded: str, proto: tuple[str, ...] = ()) -> tuple[str, str]:
    scope: dict[str, Any] = {
        "client": None if peer is None else (peer, 1),
        "scheme": "http",
        "headers": [(b"x-forwarded-for", text.encode("latin-1")) for text in forwarded]
        + [(b"x-forwarded-proto", text.encode()) for text in proto],
    }
    return PROXIES.resolve(scope), scope["scheme"]


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.5", ["198.51.100.1"], "203.0.113.5"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.1.1.1, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.1.1.1", "198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1, 10.0.0.9, 192.0.2.7"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1,10.0.0.9"], "198.51.100.1"),
        ("10.0.0.1", ["10.0.0.2, 10.0.0.3"], "10.0.0.2"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1, <script>, 10.0.0.9"], "10.0.0.9"),
        ("10.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
        ("10.0.0.1", ["[2001:db8::5]:4711"], "2001:db8::5"),
        ("10.0.0.1", ["2001:DB8::5"], "2001:db8::5"),
        ("10.0.0.1", ["fe80::5%a person's name"], "fe80::5"),
        ("10.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("2001:db8:1::9", ["198.51.100.1"], "198.51.100.1"),
        ("2001:db8:2::9", ["198.51.100.1"], "2001:db8:2::9"),
        (None, ["198.51.100.1"], ""),
        ("unix:", ["198.51.100.1"], "unix:"),
        ("10.0.0.1", ["198.51.100.1, " + "10.0.0.2, " * 30 + "10.0.0.3"], "10.0.0.2"),
    ],
)
def test_the_nearest_hop_that_is_no_proxy(
    peer: str | None, forwarded: list[str], client: str
) -> None:
    assert resolved(peer, *forwarded)[0] == client


@pytest.mark.parametrize("peer", ["10.0.0.1", "::ffff:10.0.0.1"])
@pytest.mark.parametrize("named", ["10.0.0.1", "::ffff:10.0.0.1", "::ffff:10.0.0.0/104"])
def test_ipv4_in_ipv6_is_ipv4_also_where_a_proxy_is_named(named: str, peer: str) -> None:
    headers = [(b"x-forwarded-for", b"198.51.100.1")]
    scope: dict[str, Any] = {"client": (peer, 1), "headers": headers}
    assert TrustedProxies(parse_networks(named)).resolve(scope) == "198.51.100.1"


@pytest.mark.parametrize(
    ("peer", "proto", "scheme"),
    [
        ("10.0.0.1", ("https",), "https"),
        ("10.0.0.1", ("HTTPS",), "https"),
        ("10.0.0.1", ("http",), "http"),
        ("10.0.0.1", ("https", "http"), "http"),
        ("10.0.0.1", ("javascript",), "http"),
        ("203.0.113.5", ("https",), "http"),
    ],
)
def test_the_scheme(peer: str, proto: tuple[str, ...], scheme: str) -> None:
    assert resolved(peer, proto=proto)[1] == scheme


hops = st.one_of(st.ip_addresses().map(str), st.text(st.characters(max_codepoint=255), max_size=20))


@given(st.ip_addresses(), st.lists(hops, max_size=30))
def test_a_client_cannot_choose_its_address(peer: Any, forged: list[str]) -> None:
    """Behind one proxy of ours, which appends: what the client has sent before does not count."""
    real = str(peer)
    if any(parse(real) in network for network in parse_networks("10.0.0.0/8,2001:db8:1::/48")):
        return
    if parse(real) == ip_address("192.0.2.7"):
        return
    header = ", ".join([*forged, real])
    expected = str(parse(real))
    assert resolved("10.0.0.1", header)[0] == expected
    assert resolved(real, header)[0] == real


@given(st.text(max_size=50))
def test_no_text_breaks_it(text: str) -> None:
    found = parse(text)
    assert found is None or isinstance(found, IPv4Address | IPv6Address)
    group(text)


@given(st.ip_addresses(v=6), st.integers(0, 2**64 - 1))
def test_a_client_of_ipv6_is_its_64(address: IPv6Address, other: int) -> None:
    neighbour = IPv6Address(int(address) >> 64 << 64 | other)
    if address.ipv4_mapped is None and neighbour.ipv4_mapped is None:
        assert group(str(address)) == group(str(neighbour))
        further = IPv6Address((int(address) >> 64 ^ 1) << 64 | other)
        assert group(str(address)) != group(str(further))


async def test_limits_and_log_know_the_client_behind_a_proxy() -> None:
    settings = msgspec.structs.replace(
        SETTINGS, http_trusted_proxies="192.0.2.1", http_rate_limit="1/minute"
    )
    served = app(settings)
    async with client_from(served) as proxy, client_from(served, "192.0.2.2") as stranger:
        first, second = ({"X-Forwarded-For": f"198.51.100.{n}"} for n in (1, 2))
        with structlog.testing.capture_logs() as lines:
            assert (await proxy.post("/random/1", headers=first)).status_code == 200
        (line,) = [line for line in lines if line["event"] == "request"]
        assert line["client"] == "198.51.100.1"
        assert (await proxy.get("/orders", headers=second)).status_code == 200
        problem(await proxy.get("/orders", headers=first), 429, "rate-limited")
        assert (await stranger.get("/orders", headers=second)).status_code == 200
        problem(await stranger.get("/orders", headers=first), 429, "rate-limited")
