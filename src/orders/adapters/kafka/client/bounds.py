"""Bounds on what a broker may make this process do, which the client itself does not set.

The client takes from the broker how much memory to allocate and how often to hash, also before
either side has proved who it is: CVE-2026-10142, CVE-2026-10143, and the length of an answer during
SASL. Importing this module sets the bounds for every client of the process; the client's version is
pinned.
"""

import kafka.protocol.parser
import kafka.sasl.scram
from kafka.conn import BrokerConnection
from kafka.errors import KafkaProtocolError
from kafka.protocol.frame import KafkaBytes
from kafka.scram import ScramClient

MAX_FRAME_BYTES = 100_000_000
"""Largest response of a broker. Brokers themselves take requests of up to 100 MiB by default."""
MAX_SASL_BYTES = 64 * 1024
"""Largest answer during the login."""
MIN_SCRAM_ITERATIONS = 4_096
"""What RFC 7677 asks for, and what Kafka never goes below."""
MAX_SCRAM_ITERATIONS = 1_000_000
"""Kafka's own limit is 16,384. A million take about half a second."""

_receive_unbounded = BrokerConnection._recv_bytes_blocking  # noqa: SLF001


class _BoundedFrame(KafkaBytes):  # type: ignore[misc]
    """The buffer of a response, allocated when its length has come."""

    def __init__(self, size: int) -> None:
        if not 0 <= size <= MAX_FRAME_BYTES:
            raise KafkaProtocolError(f"a response of {size} bytes is announced")
        super().__init__(size)


class _BoundedScram(ScramClient):  # type: ignore[misc]
    def create_salted_password(self, salt: bytes, iterations: int) -> None:
        if not MIN_SCRAM_ITERATIONS <= iterations <= MAX_SCRAM_ITERATIONS:
            raise ConnectionError(f"the broker asks for {iterations} SCRAM iterations")
        super().create_salted_password(salt, iterations)


def _receive_bounded(connection: BrokerConnection, size: int) -> bytes:
    if not 0 <= size <= MAX_SASL_BYTES:
        raise ConnectionError(f"a SASL answer of {size} bytes is announced")
    received: bytes = _receive_unbounded(connection, size)
    return received


kafka.protocol.parser.KafkaBytes = _BoundedFrame
kafka.sasl.scram.ScramClient = _BoundedScram
BrokerConnection._recv_bytes_blocking = _receive_bounded  # noqa: SLF001
