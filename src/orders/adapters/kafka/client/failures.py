"""Describes why the brokers cannot be used: the cause and the next step, for errors of the client.

A reason has no address, no secret, and nothing that differs between attempts, so that it is logged
again only when the cause changes.
"""

import re
import ssl
from typing import NamedTuple

from kafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    GroupCoordinatorNotAvailableError,
    IllegalSaslStateError,
    InconsistentGroupProtocolError,
    InvalidReplicationFactorError,
    InvalidSessionTimeoutError,
    InvalidTimestampError,
    InvalidTopicError,
    KafkaConfigurationError,
    KafkaConnectionError,
    KafkaProtocolError,
    KafkaTimeoutError,
    LeaderNotAvailableError,
    NoBrokersAvailable,
    NodeNotReadyError,
    NotEnoughReplicasError,
    PolicyViolationError,
    RequestTimedOutError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    UnsupportedSaslMechanismError,
)

from orders.domain.errors import OrdersError


class Failure(NamedTuple):
    """What is wrong, and what an operator can do about it."""

    reason: str
    advice: str


class NotConnectedError(NoBrokersAvailable, NodeNotReadyError):  # type: ignore[misc]
    """No broker can be connected to; ``failure`` says why.

    ``advertised`` is the address that cannot be reached, if the brokers advertise it.
    """

    def __init__(self, failure: Failure, advertised: str | None = None) -> None:
        super().__init__(failure.reason)
        self.failure = failure
        self.advertised = advertised


_LISTENER = (
    "correct ORDERS_KAFKA_SECURITY_PROTOCOL, or the port in ORDERS_KAFKA_BOOTSTRAP: each listener "
    "of a broker has its own protocol"
)
_CREDENTIALS = (
    "correct ORDERS_KAFKA_SASL_USERNAME, ORDERS_KAFKA_SASL_PASSWORD or ORDERS_KAFKA_SASL_MECHANISM,"
    " or have the user created on the brokers; with OAUTHBEARER, renew the token"
)
_GRANT = 'grant it: "Least rights" in docs/operating.md lists what each process needs'
_WAIT = "wait: it passes when the brokers are all back"
_NAME = "correct ORDERS_KAFKA_TOPIC or ORDERS_KAFKA_DLQ_TOPIC: letters, digits, . _ and -"

NO_ANSWER = Failure(
    "the brokers do not answer",
    "a broker may be frozen, or require other security settings: check its log, and "
    "ORDERS_KAFKA_SECURITY_PROTOCOL, _SASL_* and _SSL_*",
)
"""What is said where nothing more is known."""
NO_CONTROLLER = Failure("the brokers have no controller yet", _WAIT)
LOGIN_REFUSED = Failure("the brokers refuse the login", _CREDENTIALS)
LOGIN_UNANSWERED = Failure("the brokers do not answer the login", _LISTENER)
LOGIN_BROKEN = Failure("the login failed: the answer is not one of a Kafka broker", _LISTENER)
HANDSHAKE_ENDED = Failure("the connection is closed during the TLS handshake", _LISTENER)
NOT_KAFKA = Failure("what answers speaks another protocol, or TLS", _LISTENER)
CLOSED = Failure("the brokers close the connection", _LISTENER)

_UNTRUSTED = Failure(
    "the broker's certificate is signed by an authority that is not trusted",
    "set ORDERS_KAFKA_SSL_CAFILE to the file with the authority that signs the brokers",
)
_OTHER_HOST = Failure(
    "the broker's certificate is for another host name",
    "name the brokers as their certificates do, in ORDERS_KAFKA_BOOTSTRAP and in their "
    "advertised.listeners",
)
_CERTIFICATES = {  # by OpenSSL's X509_V_ERR_...
    9: Failure("the broker's certificate is not valid yet", "look at the clocks"),
    10: Failure("the broker's certificate has expired", "renew it on the brokers"),
    18: _UNTRUSTED,
    19: _UNTRUSTED,
    20: _UNTRUSTED,
    21: _UNTRUSTED,
    62: _OTHER_HOST,
    64: _OTHER_HOST,
}

_START = "start the broker, or correct ORDERS_KAFKA_BOOTSTRAP"
_OF_TEXTS = (  # the client makes errors of the system into texts
    (
        "NO_CERTIFICATE|PEM lib|KEY_VALUES|^(FileNotFound|Permission|IsADirectory)Error",
        Failure(
            "a file of certificates cannot be read, or does not hold what it should",
            "correct ORDERS_KAFKA_SSL_CAFILE, _SSL_CERTIFICATE, _SSL_KEY or _SSL_KEY_PASSWORD: "
            "files in PEM format",
        ),
    ),
    ("^SSL(EOF|ZeroReturn)Error", HANDSHAKE_ENDED),
    (
        "ALERT_(BAD_|UNSUPPORTED_|UNKNOWN_CA|)CERTIFICATE|ALERT_UNKNOWN_CA",
        Failure(
            "the brokers do not accept the client's certificate, or require one",
            "set ORDERS_KAFKA_SSL_CERTIFICATE and ORDERS_KAFKA_SSL_KEY to what an authority that "
            "the brokers trust has signed",
        ),
    ),
    (
        "HANDSHAKE_FAILURE|ALERT",
        Failure("the brokers do not accept the TLS handshake", _LISTENER),
    ),
    ("^SSL", Failure("the broker does not speak TLS on this port", _LISTENER)),
    ("^gaierror|DNS failure", Failure("the name of a broker is not known", _START)),
    (
        "^ConnectionRefusedError|ECONNREFUSED",
        Failure("nothing listens at the address of a broker", _START),
    ),
    (
        r"EHOSTUNREACH|ENETUNREACH|\[Errno 1(01|13)\]",
        Failure("there is no route to a broker", _START),
    ),
    (
        "^TimeoutError|timeout|timed out|ETIMEDOUT",
        Failure("the address of a broker does not answer", _START),
    ),
)
_OF_TYPES: dict[type[BaseException], Failure] = {
    UnsupportedSaslMechanismError: Failure(
        "the brokers do not offer this SASL mechanism", "correct ORDERS_KAFKA_SASL_MECHANISM"
    ),
    IllegalSaslStateError: Failure("the brokers take no login on this port", _LISTENER),
    KafkaProtocolError: NOT_KAFKA,
    KafkaConfigurationError: Failure(
        "the settings do not fit together",
        "correct ORDERS_KAFKA_SECURITY_PROTOCOL and what belongs to it",
    ),
    TopicAuthorizationFailedError: Failure("the user has no right to a topic", _GRANT),
    GroupAuthorizationFailedError: Failure("the user has no right to the group", _GRANT),
    ClusterAuthorizationFailedError: Failure("the user has no right to create topics", _GRANT),
    UnknownTopicOrPartitionError: Failure(
        "a topic is missing", "restart `orders consumer` or `orders api`: they make it"
    ),
    InvalidTopicError: Failure("Kafka does not take the name of a topic", _NAME),
    InconsistentGroupProtocolError: Failure(
        "the group has members that use another assignor",
        "set another ORDERS_KAFKA_GROUP, or stop those members",
    ),
    InvalidSessionTimeoutError: Failure(
        "the brokers do not accept the session timeout",
        "set ORDERS_KAFKA_SESSION_TIMEOUT between the brokers' group.min.session.timeout.ms and "
        "group.max.session.timeout.ms",
    ),
    InvalidReplicationFactorError: Failure(
        "there are fewer brokers than replicas are asked for", "lower ORDERS_KAFKA_REPLICATION"
    ),
    PolicyViolationError: Failure(
        "a policy of the brokers does not allow the topic", "create the topics by hand"
    ),
    InvalidTimestampError: Failure(
        "the brokers refuse the time of a message",
        "compare the clocks of this machine and of the brokers, and the topic's "
        "message.timestamp.* settings",
    ),
    NotEnoughReplicasError: Failure(
        "fewer replicas are in sync than min.insync.replicas", "restore the brokers that are down"
    ),
    GroupCoordinatorNotAvailableError: Failure("the group has no coordinator yet", _WAIT),
    LeaderNotAvailableError: Failure("a partition has no leader", _WAIT),
    RequestTimedOutError: NO_ANSWER,
    KafkaTimeoutError: NO_ANSWER,
    NodeNotReadyError: NO_ANSWER,
    NoBrokersAvailable: NO_ANSWER,
}


def describe_failure(error: BaseException) -> Failure:
    """The cause and the next step, of what the client or the system has raised."""
    if isinstance(error, NotConnectedError):
        return error.failure
    if isinstance(error, ssl.SSLCertVerificationError):
        other = f"the broker's certificate is not accepted ({error.verify_message})"
        return _CERTIFICATES.get(error.verify_code, Failure(other, _UNTRUSTED.advice))
    if isinstance(error, TopicAuthorizationFailedError) and (names := _topics_in(error)):
        return Failure(f"the user has no right to topic {', '.join(names)}", _GRANT)
    for kind, failure in _OF_TYPES.items():
        if isinstance(error, kind):
            return failure
    if isinstance(error, (OSError, KafkaConnectionError)):
        text = f"{type(error).__name__}: {error}"
        return next((failure for pattern, failure in _OF_TEXTS if re.search(pattern, text)), CLOSED)
    return Failure(f"{NO_ANSWER.reason} as expected ({type(error).__name__})", NO_ANSWER.advice)


def _topics_in(error: TopicAuthorizationFailedError) -> list[str]:
    """The topics that the error names, if the client has given it any."""
    named = error.args[0] if error.args else ()
    names = {named} if isinstance(named, str) else named
    # Where a fetch is denied, the client gives it the set of the letters of the topic's name.
    return sorted(name for name in names if len(name) > 1)


def is_missing_right(error: BaseException) -> bool:
    """Whether the brokers deny a right, so that nothing changes until an operator grants it."""
    return not isinstance(error, OrdersError) and describe_failure(error).advice == _GRANT


def reason_of(error: BaseException) -> str:
    """The cause alone, for the log and for health."""
    return str(error) if isinstance(error, OrdersError) else describe_failure(error).reason
