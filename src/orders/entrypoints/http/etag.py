"""Entity tags and If-None-Match (RFC 9110, sections 8.8.3 and 13.1.2)."""

import re
from collections.abc import Iterable

from orders.domain.order.document import hex_digest
from orders.entrypoints.http.responses import Header, header_values

_TAG = re.compile(rb'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')


def etag(body: bytes) -> bytes:
    """The strong entity tag of exactly these bytes."""
    return tag_of(hex_digest(body))


def tag_of(digest_of_body: bytes) -> bytes:
    """The strong entity tag of the bytes with this digest in hexadecimal."""
    return b'"%s"' % digest_of_body


def is_known(headers: Iterable[Header], tag: bytes) -> bool:
    """Whether If-None-Match says that the client already has the response with this ``tag``.

    Uses the weak comparison, as the RFC requires for GET; several header lines form one list.
    """
    given = b",".join(header_values(headers, b"if-none-match"))
    return bool(given) and (given.strip() == b"*" or tag in _TAG.findall(given))
