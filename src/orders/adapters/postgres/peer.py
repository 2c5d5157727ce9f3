"""Whether a server is alive, which a statement that takes long does not tell."""

import asyncio
from typing import NamedTuple

_SSL_REQUEST = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"
"""Asks whether TLS is offered: any server and any pooler answers, before any login, and the
connection counts against no limit of a role."""


class Peer(NamedTuple):
    """A server's address: a host, or the folder of its local socket, and its port."""

    host: str
    port: int

    async def reacts(self, seconds: float) -> bool:
        """Whether it reacts to a new connection; a refusal is a reaction, silence is none."""
        try:
            async with asyncio.timeout(seconds):
                reader, writer = await self._connect()
                try:
                    writer.write(_SSL_REQUEST)
                    await reader.read(1)
                finally:
                    writer.close()
        except TimeoutError:  # also the network's own, which is an OSError
            return False
        except OSError:
            return True
        return True

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self.host.startswith("/"):
            return await asyncio.open_unix_connection(f"{self.host}/.s.PGSQL.{self.port}")
        return await asyncio.open_connection(self.host, self.port)
