"""Finds out the address of a client, also behind proxies."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from orders.entrypoints.http.asgi_types import Scope
from orders.entrypoints.http.responses import Header, header_values

_FOR, _PROTO = b"x-forwarded-for", b"x-forwarded-proto"
_MOST_HOPS = 20
_CACHED = 1024
_MAPPED_BITS = 96
"""The length of ``::ffff:``, before an address of IPv4 in one of IPv6."""
_NETWORK_OF_A_CLIENT = 64
"""A client with IPv6 has a whole /64, and a new address in it for each request if it likes."""

_Network = IPv4Network | IPv6Network


class TrustedProxies:
    """Takes the client's address and scheme from X-Forwarded-For and -Proto of these networks.

    Other peers may write what they like into these headers: it is ignored.
    """

    def __init__(self, networks: Iterable[_Network] = ()) -> None:
        self._networks = tuple(networks)
        self._is_trusted = lru_cache(_CACHED)(self._is_in_a_network)

    def resolve(self, scope: Scope) -> str:
        """Return the client's address; sets the scheme that the client has used."""
        peer = scope.get("client")
        address = peer[0] if peer else ""
        if not self._networks or not self._is_trusted(address):
            return address
        headers = scope["headers"]
        proto = header_values(headers, _PROTO)
        if len(proto) == 1 and proto[0].lower() in {b"http", b"https"}:
            scope["scheme"] = proto[0].lower().decode()
        return self._client(headers, address)

    def _client(self, headers: Sequence[Header], peer: str) -> str:
        """Walk from the nearest hop to the first one that is no proxy of ours."""
        hops = b",".join(header_values(headers, _FOR)).decode("latin-1").rsplit(",", _MOST_HOPS)
        address = peer
        for hop in reversed(hops[-_MOST_HOPS:]):
            parsed = parse(hop)
            if parsed is None:
                break  # whatever is before it was not written by a proxy of ours either
            address = str(parsed)
            if not self._is_trusted(address):
                break
        return address

    def _is_in_a_network(self, address: str) -> bool:
        parsed = parse(address)
        return parsed is not None and any(parsed in network for network in self._networks)


def parse_networks(text: str) -> tuple[_Network, ...]:
    """Parse addresses and networks in CIDR, separated by commas; raises ValueError."""
    return tuple(_network(each.strip()) for each in text.split(",") if each.strip())


def _network(text: str) -> _Network:
    found = ip_network(text)
    # Written like this, as the log has it where the API listens on "::", it is IPv4 for ``parse``.
    mapped = getattr(found.network_address, "ipv4_mapped", None)
    if mapped is None or found.prefixlen < _MAPPED_BITS:
        return found
    return IPv4Network((mapped, found.prefixlen - _MAPPED_BITS))


def parse(text: str) -> IPv4Address | IPv6Address | None:
    """Parse an address, with or without a port or zone; one of IPv4 in IPv6 is one of IPv4."""
    host = text.strip()
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        found = ip_address(host.partition("%")[0])  # a zone can be any text, and would be logged
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


@lru_cache(_CACHED)
def group(address: str) -> str:
    """Return what limits count as one client: an address of IPv4, a /64 of IPv6."""
    parsed = parse(address)
    if isinstance(parsed, IPv6Address):
        bits = int(parsed) >> (128 - _NETWORK_OF_A_CLIENT) << (128 - _NETWORK_OF_A_CLIENT)
        return f"{IPv6Address(bits)}/{_NETWORK_OF_A_CLIENT}"
    return str(parsed) if parsed else address
