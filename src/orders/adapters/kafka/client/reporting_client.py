"""A Kafka client that reports why its connections fail.

The client itself raises NoBrokersAvailable whatever the cause is, logs tracebacks at each attempt,
and lets some errors of a single connection escape from unrelated calls.
"""

import logging
import re
import ssl
import sys
import time
from typing import Any

import kafka.client_async
import kafka.sasl.scram
from kafka.client_async import KafkaClient
from kafka.conn import BrokerConnection, ConnectionStates
from kafka.errors import (
    AuthenticationFailedError,
    BrokerResponseError,
    KafkaConnectionError,
    KafkaError,
    KafkaProtocolError,
    NoBrokersAvailable,
    NodeNotReadyError,
    UnrecognizedBrokerVersion,
)

import orders.adapters.kafka.client.bounds  # noqa: F401 (sets them for every client)
from orders.adapters.kafka.client.failures import (
    HANDSHAKE_ENDED,
    LOGIN_BROKEN,
    LOGIN_REFUSED,
    LOGIN_UNANSWERED,
    NO_ANSWER,
    Failure,
    NotConnectedError,
    describe_failure,
)

# It writes to the root logger, whose level is not the client's.
kafka.sasl.scram.log = logging.getLogger(kafka.sasl.scram.__name__)

_CLOSED = re.compile("reset|disconnected|broken pipe|ECONNRESET|EPIPE", re.IGNORECASE)

_READS = BrokerConnection.DEFAULT_CONFIG["sock_chunk_buffer_count"]


class _ReportingConnection(BrokerConnection):  # type: ignore[misc]
    """Keeps why it failed last, until it gets a response."""

    failure: Failure | None = None
    failed_at = 0.0

    def connect(self) -> Any:
        """An error is a failed connection; it is tried again after the back-off."""
        try:
            return super().connect()
        except Exception as error:  # noqa: BLE001 (hostile answers raise anything)
            self._ssl_context = self.config["ssl_context"]  # it may be half made
            self.close(error)
            return self.state

    def check_version(self, *arguments: Any, **options: Any) -> Any:
        """The same where the connection ends at a bad moment."""
        try:
            return super().check_version(*arguments, **options)
        except KafkaError:
            raise
        except Exception as error:
            self.close(error)
            raise NodeNotReadyError from error

    def _handle_sasl_handshake_response(self, future: Any, response: Any) -> Any:
        """The same for the rest of the login, whose errors the caller swallows."""
        try:
            return super()._handle_sasl_handshake_response(future, response)
        except Exception as error:  # noqa: BLE001
            self.close(error)
            return future.failure(KafkaConnectionError(type(error).__name__))

    def recv(self) -> Any:
        """The same for what cannot be decoded."""
        # The client drops an answer that it reads together with the end of the connection, such as
        # the one that says why the login is refused. A single read does not reach that end.
        is_login = self.state is ConnectionStates.AUTHENTICATING
        self.config["sock_chunk_buffer_count"] = 1 if is_login else _READS
        try:
            responses = super().recv()
        except Exception as error:  # noqa: BLE001
            self.close(KafkaProtocolError(type(error).__name__))
            return ()
        if responses and self.connected():
            self.failure = None
        return responses

    def close(self, error: BaseException | None = None) -> None:
        """Note why; what the client closed of itself is no failure."""
        if error is not None and not self.disconnected():
            self.failure, self.failed_at = self._describe(error), time.monotonic()
        super().close(error)

    def _describe(self, error: BaseException) -> Failure:
        handled = sys.exception()
        if self.state is ConnectionStates.HANDSHAKE:
            # The client replaces the error that it handles by one that says nothing.
            if isinstance(handled, ssl.SSLError):
                return describe_failure(handled)
            return HANDSHAKE_ENDED
        if self.state is ConnectionStates.AUTHENTICATING:
            return _describe_login(error)
        return describe_failure(error)


def _describe_login(error: BaseException) -> Failure:
    text = str(error)
    if isinstance(error, BrokerResponseError):
        return describe_failure(error)
    if isinstance(error, AuthenticationFailedError) or _CLOSED.search(text):
        return LOGIN_REFUSED  # brokers do not say so, they close the connection
    return LOGIN_UNANSWERED if "timed out" in text or "timeout" in text else LOGIN_BROKEN


class ReportingClient(KafkaClient):  # type: ignore[misc]
    """Raises NotConnectedError for NoBrokersAvailable; to be the ``kafka_client`` of a client."""

    def check_version(self, *arguments: Any, **options: Any) -> Any:
        """As the base."""
        try:
            return super().check_version(*arguments, **options)
        except (NoBrokersAvailable, NodeNotReadyError, UnrecognizedBrokerVersion) as error:
            raise self.not_connected() from error

    def not_connected(self) -> NotConnectedError:
        """The error to raise where no connection can be made."""
        return NotConnectedError(self.failure or NO_ANSWER, self._advertised)

    @property
    def failure(self) -> Failure | None:
        """Why the latest connection failed; None where all that are open work. For any thread."""
        failing = self._failing
        return failing.failure if failing else None

    @property
    def _failing(self) -> _ReportingConnection | None:
        failing = [c for c in list(self._conns.values()) if c.failure is not None]
        return max(failing, key=lambda connection: connection.failed_at, default=None)

    @property
    def _advertised(self) -> str | None:
        """The failing address, if the brokers advertise it."""
        failing = self._failing
        if failing is None or self.cluster.is_bootstrap(failing.node_id):
            return None
        return f"{failing.host}:{failing.port}"


kafka.client_async.BrokerConnection = _ReportingConnection
