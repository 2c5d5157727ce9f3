"""Each cause for which the cache is down is named, in health and by doctor, without addresses."""

import asyncio
import re
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import NoScriptError, RedisClusterException

from orders.adapters.redis_lru.cache import RedisCache
from orders.adapters.redis_lru.faults import fault_of
from orders.adapters.redis_lru.inspection import RedisInspection
from orders.domain.errors import Unavailable
from tests.contracts.cache import documents
from tests.integration.redis.own_server import OwnServer

TLS = Path(__file__).parents[2] / "data" / "tls"
CERTIFICATE = TLS / "certificate.pem"
"""Of other.example, signed by itself."""


@asynccontextmanager
async def peer(reply: bytes, *, tls: bool = False) -> AsyncIterator[int]:
    """A server that answers every command with ``reply``; yields its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.read(65536):
                writer.write(reply)
                await writer.drain()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    context = None
    if tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(CERTIFICATE, TLS / "key.pem")
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@asynccontextmanager
async def resetting_peer() -> AsyncIterator[int]:
    """A server that resets the connection at the first command; yields its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@asynccontextmanager
async def nobody() -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("server", "url", "says"),
    [
        (lambda: peer(b"+OK\r\n", tls=True), "rediss://127.0.0.1:{}", "self-signed certificate"),
        (
            lambda: peer(b"+OK\r\n", tls=True),
            f"rediss://127.0.0.1:{{}}?ssl_ca_certs={CERTIFICATE}",
            "address mismatch",
        ),
        (
            lambda: peer(b"+OK\r\n", tls=True),
            "rediss://127.0.0.1:{}?ssl_ca_certs=/nowhere.pem",
            "file cannot be read",
        ),
        (lambda: peer(b"+OK\r\n"), "rediss://127.0.0.1:{}", "TLS fails"),
        (lambda: peer(b"+OK\r\n", tls=True), "redis://127.0.0.1:{}", "closes the connection"),
        (resetting_peer, "redis://127.0.0.1:{}", "closes the connection"),
        (nobody, "redis://127.0.0.1:{}", "refuses connections"),
        (nobody, "redis+cluster://127.0.0.1:{}", "refuses connections"),
        (lambda: peer(b"-LOADING x\r\n"), "redis://127.0.0.1:{}", "is loading its data"),
        (lambda: peer(b"-READONLY x\r\n"), "redis://127.0.0.1:{}", "accepts no writes"),
        (lambda: peer(b"-OOM x\r\n"), "redis://127.0.0.1:{}", "memory is full"),
        (lambda: peer(b"-MISCONF nowhere\r\n"), "redis://127.0.0.1:{}", "it answers MISCONF"),
        (lambda: peer(b"-nowhere x\r\n"), "redis://127.0.0.1:{}", "it answers an error"),
    ],
)
async def test_the_cause_is_named(
    server: Callable[[], AbstractAsyncContextManager[int]], url: str, says: str
) -> None:
    async with server() as port:
        here = url.format(port)
        cache = RedisCache(here, 3, "orders", timeout=2)
        await cache.open()
        with pytest.raises(Unavailable) as caught:
            await cache.check()
        await cache.close()
        (finding, *_) = await RedisInspection(here, "orders").inspect()
    assert says.lower() in str(caught.value).lower()
    assert finding.text == str(caught.value)
    assert finding.state == "problem"
    assert finding.advice
    assert not re.search(r"127\.0\.0\.1|nowhere", finding.text)


@pytest.mark.parametrize("reply", [b"+OK\r\n", b":1\r\n", b"*1\r\n+OK\r\n", b"*0\r\n", b"$-1\r\n"])
async def test_a_reply_of_another_shape_counts_as_down(reply: bytes) -> None:
    async with peer(reply) as port:
        cache = RedisCache(f"redis://127.0.0.1:{port}", 3, "orders", timeout=1.0)
        await cache.open()
        with pytest.raises(Unavailable, match="not that of the script"):
            await cache.get(["a", "b"])
        with pytest.raises(Unavailable, match="not that of the script"):
            await cache.touch(["a", "b"])
        await cache.close()


async def test_a_value_of_another_type_counts_as_down() -> None:
    async with peer(b"*2\r\n$-1\r\n:1\r\n") as port:
        cache = RedisCache(f"redis://127.0.0.1:{port}", 3, "orders", timeout=1.0)
        await cache.open()
        with pytest.raises(Unavailable, match="not that of the script"):
            await cache.get(["a", "b"])
        await cache.close()


async def test_after_a_start_with_a_wrong_password_it_is_down_until_that_is_corrected(
    own_server: OwnServer,
) -> None:
    with own_server.client() as client:
        client.config_set("requirepass", "right")
    cache = RedisCache(own_server.url.replace("//", "//:wrong@"), 3, "orders", timeout=1.0)
    await cache.open()
    for _ in range(20):
        for call in (cache.get(["a"]), cache.put(documents("a")), cache.touch(["a"])):
            with pytest.raises(Unavailable, match="rejects this user or this password"):
                await call
    own_server.kill()
    own_server.start()
    with own_server.client() as client:
        client.config_set("requirepass", "wrong")
    await cache.check()
    await cache.close()


async def test_any_error_of_the_client_counts_as_down(monkeypatch: pytest.MonkeyPatch) -> None:
    cache = RedisCache("redis://127.0.0.1:1", 3, "orders")
    await cache.open()

    async def closed(*_: object) -> None:
        raise RuntimeError("unable to perform operation on <TCPTransport closed=True>")

    monkeypatch.setattr(cache._client, "evalsha", closed)
    with pytest.raises(Unavailable, match="RuntimeError"):
        await cache.get(["a"])
    await cache.close()


def test_an_error_of_the_tls_settings_of_this_side() -> None:
    assert (
        fault_of(ssl.SSLError("No cipher can be selected.")).text == "TLS fails: handshake failed"
    )


@pytest.mark.parametrize(
    ("error", "handled", "says"),
    [
        (NoConnection("secret-host:1"), socket.gaierror(), "its name cannot be resolved"),
        (NoConnection("Connection closed by server."), NoScriptError(), "closes the connection"),
    ],
)
def test_what_the_client_was_handling_is_the_cause_unless_it_was_an_unknown_script(
    error: Exception, handled: Exception, says: str
) -> None:
    error.__context__ = handled
    assert fault_of(error).text == says


def test_the_cause_below_an_error_of_a_cluster_is_the_one_that_is_named() -> None:
    error = RedisClusterException("cannot be connected: secret-host:1")
    error.__cause__ = ConnectionRefusedError()
    assert fault_of(error).text == "refuses connections"
