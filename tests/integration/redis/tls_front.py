"""TLS in front of a server that has none, as the embedded Valkey is built without."""

import asyncio
import ssl
import threading
from collections.abc import Iterator, Mapping
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
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    for port, target in targets.items():
        opening = asyncio.start_server(partial(_pass, target), "127.0.0.1", port, ssl=context)
        asyncio.run_coroutine_threadsafe(opening, loop).result()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        for task in asyncio.all_tasks(loop):
            task.cancel()
            with suppress(asyncio.CancelledError):
                loop.run_until_complete(task)
        loop.close()


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
