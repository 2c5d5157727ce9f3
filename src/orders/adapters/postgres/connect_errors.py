"""Why a connection to PostgreSQL was not made, and what an operator can do about it.

libpq gives no SQLSTATE for a failed attempt, only texts: its own, which are English, and the
server's, which are in the language of its ``lc_messages``. Where no text is known, libpq's facts
about the attempt decide. Nothing of a text is repeated: they name users, databases and addresses.
"""

import re
import socket
from typing import NamedTuple

import psycopg
from psycopg.errors import ConnectionTimeout

_DSN = "ORDERS_POSTGRES_DSN"
_LIMIT = "lower ORDERS_POSTGRES_POOL_MAX, or raise the limit"


class ConnectFailure(NamedTuple):
    """``reason`` completes "no connection to PostgreSQL: ..."; ``advice`` is the next step."""

    reason: str
    advice: str
    at_limit: bool = False


_TIMEOUT = ConnectFailure(
    "it accepts connections, but does not respond", "it is frozen or overloaded: check its machine"
)
_UNKNOWN_HOST = ConnectFailure("its name is not known", f"correct the host in {_DSN}")
_LOGIN = ConnectFailure(
    "it rejects this user or this password", f"correct user and password in {_DSN}"
)
_NO_PASSWORD = ConnectFailure("it requires a password, and none is set", f"set one in {_DSN}")
_SOME_LOGIN = ConnectFailure(
    "it rejects the login: the user, the password, the database, or a limit on connections",
    f"check its log, and {_DSN}",
)
_UNNAMED = ConnectFailure(
    "it closes the connection before the login: it may be starting or out of connections, or its "
    "rules (pg_hba.conf, TLS) may not accept the login",
    "check its log",
)
_FULL = "all connections that it allows are taken"

_KNOWN = [
    (re.compile(pattern, re.IGNORECASE), ConnectFailure(reason, advice, at_limit))
    for pattern, reason, advice, at_limit in (
        # The settings of this side.
        ("invalid sslmode value|weak sslmode", "sslmode has a wrong value",
         f"correct sslmode in {_DSN}", False),
        ("definition of service .* not found|service file .* not found",
         "the service that the DSN names is not defined", f"correct service in {_DSN}", False),
        ("root certificate file .* does not exist|could not (open|read) root certificate"
         "|could not load system root certificate",
         "the file with the authorities (sslrootcert) is missing or cannot be read",
         f"correct sslrootcert in {_DSN}, or mount the file", False),
        ("(certificate|private key) file .*(does not exist|not present|has group or world access)"
         "|could not (read certificate file|load private key|stat private key)",
         "the client's certificate or key (sslcert, sslkey) cannot be used",
         f"correct sslcert and sslkey in {_DSN}, and the key's permissions", False),
        # TLS.
        ("server does not support SSL", "it offers no TLS, which sslmode asks for",
         f"turn TLS on there, or change sslmode in {_DSN}", False),
        ("does not match host name", "its certificate is for another host name",
         f"name it in {_DSN} as its certificate does, or renew the certificate", False),
        ("certificate verify failed|certificate has expired|unknown ca",
         "its certificate is not trusted: it has expired, or another authority signed it",
         "renew the certificate, or correct sslrootcert in " + _DSN, False),
        ("requires a valid client certificate|certificate authentication failed",
         "it requires a client certificate that it trusts",
         f"set sslcert and sslkey in {_DSN}", False),
        ("SSL error|SSL SYSCALL error|channel binding", "TLS could not be set up",
         "compare the TLS settings of both sides", False),
        # The login.
        ("no password supplied|empty password", _NO_PASSWORD.reason, _NO_PASSWORD.advice, False),
        ("no pg_hba.conf entry|pg_hba.conf rejects",
         "its rules (pg_hba.conf) do not accept this user from here, or not without TLS",
         "add a rule to pg_hba.conf, or change sslmode in " + _DSN, False),
        ("authentication failed|no such user|server login (has been failing|failed)",
         _LOGIN.reason, _LOGIN.advice, False),
        ("role .* does not exist", "there is no such user", f"correct the user in {_DSN}", False),
        ("not permitted to log in", "this user may not log in",
         "ALTER ROLE ... LOGIN, or name another user in " + _DSN, False),
        ("permission denied for database", "this user may not connect to this database",
         "GRANT CONNECT ON DATABASE ... TO this user", False),
        ("database .* does not exist|no such database", "there is no such database",
         f"create it (createdb), or correct the name in {_DSN}", False),
        ("not currently accepting connections", "this database accepts no connections",
         "ALTER DATABASE ... ALLOW_CONNECTIONS true", False),
        # Its limits.
        ("too many connections for role", "this user's limit on connections is reached",
         f"{_LIMIT}: ALTER ROLE ... CONNECTION LIMIT", True),
        ("too many connections for database", "this database's limit on connections is reached",
         f"{_LIMIT}: ALTER DATABASE ... CONNECTION LIMIT", True),
        ("too many clients|connection slots are reserved|no more connections allowed"
         "|query_wait_timeout", _FULL, f"{_LIMIT}: max_connections", True),
        # Its state.
        ("starting up|not yet accepting connections|in recovery mode", "it is starting",
         "wait until it has started", False),
        ("shutting down|terminating connection due to administrator command",
         "it is shutting down", "start it again", False),
        ("session is read-only|in hot standby mode",
         "no server that the DSN names accepts writes (target_session_attrs)",
         f"promote one, or correct the hosts in {_DSN}", False),
        ("invalid value for parameter|unrecognized configuration parameter|unsupported startup"
         "|invalid command-line argument|permission denied to set parameter",
         "it rejects an option of the DSN", f"correct options in {_DSN}", False),
        # The way there.
        ("failed to resolve host|could not translate host name",
         _UNKNOWN_HOST.reason, _UNKNOWN_HOST.advice, False),
        ("Connection refused|No such file or directory", "nothing listens at its address",
         f"start it, or correct host and port in {_DSN}", False),
        ("No route to host|Network is unreachable|Host is unreachable|timeout expired|timed out",
         "its address does not answer", "check its machine, and firewalls between", False),
    )
]  # fmt: skip


def connect_failure(error: Exception) -> ConnectFailure:
    """Why an attempt to connect failed; of several addresses the first reason that is known."""
    if isinstance(error, ConnectionTimeout):
        return _TIMEOUT
    if isinstance(error, socket.gaierror):
        return _UNKNOWN_HOST
    text = str(error)
    for pattern, failure in _KNOWN:
        if pattern.search(text):
            return failure
    facts = error.pgconn if isinstance(error, psycopg.Error) else None
    if facts and facts.needs_password:
        return _NO_PASSWORD
    return _SOME_LOGIN if facts and facts.used_password else _UNNAMED
