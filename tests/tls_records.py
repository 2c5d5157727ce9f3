"""Records of TLS 1.3 that Python's ``ssl`` does not send."""

import ssl
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

_APPLICATION_DATA = 23
_HANDSHAKE = 22
_KEY_UPDATE = b"\x18\x00\x00\x01\x01"
"""It asks for the same of the other side (RFC 8446, 4.6.3)."""
_TAG = 16
_HEADER = 5
_RENEWAL = len(_KEY_UPDATE) + 1 + _TAG
"""Length in the header of a record that renews keys."""


class Records:
    """Makes the records that a client sends after its handshake.

    Args:
        key_log: file to which ``client`` has written its secrets (``SSLContext.keylog_filename``).
        client: it has sent nothing since its handshake, and sends nothing from now on.
    """

    def __init__(self, key_log: Path, client: ssl.SSLSocket) -> None:
        assert client.cipher() == ("TLS_AES_256_GCM_SHA384", "TLSv1.3", 256)
        line = key_log.read_text().partition("\nCLIENT_TRAFFIC_SECRET_0 ")[2].partition("\n")[0]
        self._use(bytes.fromhex(line.split()[1]))

    def data(self, content: bytes) -> bytes:
        """Return a record with something for the application."""
        return self._seal(content, _APPLICATION_DATA)

    def renewals(self, number: int) -> bytes:
        """Return records that renew the keys so often, and ask the server to do so."""
        made = []
        for _ in range(number):
            made.append(self._seal(_KEY_UPDATE, _HANDSHAKE))
            self._use(_expand(self._secret, b"traffic upd", 48))
        return b"".join(made)

    def _use(self, secret: bytes) -> None:
        self._secret = secret
        self._cipher = AESGCM(_expand(secret, b"key", 32))
        self._iv = int.from_bytes(_expand(secret, b"iv", 12), "big")
        self._number = 0

    def _seal(self, content: bytes, kind: int) -> bytes:
        inner = content + bytes([kind])
        header = bytes([_APPLICATION_DATA, 3, 3]) + (len(inner) + _TAG).to_bytes(2, "big")
        nonce = (self._iv ^ self._number).to_bytes(12, "big")
        self._number += 1
        return header + self._cipher.encrypt(nonce, inner, header)


def answers(received: bytes) -> int:
    """Return how often a server has renewed its keys, by the records that it has sent."""
    number = at = 0
    while at + _HEADER <= len(received):
        length = int.from_bytes(received[at + 3 : at + _HEADER], "big")
        number += length == _RENEWAL
        at += _HEADER + length
    return number


def _expand(secret: bytes, label: bytes, length: int) -> bytes:
    label = b"tls13 " + label
    info = length.to_bytes(2, "big") + bytes([len(label)]) + label + b"\0"
    return HKDFExpand(SHA384(), length, info).derive(secret)
