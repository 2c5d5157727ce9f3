"""TLS in front of a server that has none, as the embedded Valkey is built without."""

import asyncio
import ssl
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

CERTIFICATE = Path(__file__).parents[2] / "data" / "tls" / "certificate.pem"
"""Of other.example, signed by itself."""
KEY = CERTIFICATE.with_name("key.pem")


@contextmanager
def tls_fronts(targets: Mapping[int, int]) -> Iterator[None]:
    """Take TLS connections at each port, and pass what they say to the port that it stands for."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE, KEY)
    begun: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        over = asyncio.Event()
        for port, target in targets.items():
            await asyncio.start_server(partial(_pass, target), "127.0.0.1", port, ssl=context)
        begun.set_result((asyncio.get_running_loop(), over))
        await over.wait()

    with ThreadPoolExecutor(1, "tls") as pool:
        serving = pool.submit(asyncio.run, serve())
        loop, over = begun.result(10)
        try:
            yield
        finally:
            loop.call_soon_threadsafe(over.set)
            serving.result()


async def _pass(target: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", target)
        await asyncio.gather(_copy(reader, server_writer), _copy(server_reader, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
