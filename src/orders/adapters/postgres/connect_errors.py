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


SILENT = ConnectFailure(
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
_KNOWN: dict[str, ConnectFailure] = {
    # The settings of this side.
    "invalid sslmode value|weak sslmode": ConnectFailure(
        "sslmode has a wrong value", f"correct sslmode in {_DSN}"
    ),
    "definition of service .* not found|service file .* not found": ConnectFailure(
        "the service that the DSN names is not defined", f"correct service in {_DSN}"
    ),
    "root certificate file .* does not exist|could not (open|read|load system) root cert": (
        ConnectFailure(
            "the file with the authorities (sslrootcert) is missing or cannot be read",
            f"correct sslrootcert in {_DSN}, or mount the file",
        )
    ),
    "(certificate|private key) file .* (does not exist|not present|has group or world access)"
    "|could not (read certificate file|load private key|stat private key)": ConnectFailure(
        "the client's certificate or key (sslcert, sslkey) cannot be used",
        f"correct sslcert and sslkey in {_DSN}, and the key's permissions",
    ),
    # TLS.
    "server does not support SSL": ConnectFailure(
        "it offers no TLS, which sslmode asks for",
        f"turn TLS on there, or change sslmode in {_DSN}",
    ),
    "does not match host name": ConnectFailure(
        "its certificate is for another host name",
        f"name the host in {_DSN} as its certificate does, or renew the certificate",
    ),
    "alert": ConnectFailure(
        "it does not accept the client's certificate or the TLS version",
        f"correct sslcert and sslkey in {_DSN}, and compare the TLS settings of both sides",
    ),
    "certificate verify failed|certificate has expired": ConnectFailure(
        "its certificate is not trusted: it has expired, or another authority signed it",
        f"renew the certificate, or correct sslrootcert in {_DSN}",
    ),
    "requires a valid client certificate|certificate authentication failed": ConnectFailure(
        "it requires a client certificate that it trusts", f"set sslcert and sslkey in {_DSN}"
    ),
    "SSL error|SSL SYSCALL error|channel binding": ConnectFailure(
        "TLS could not be set up", "compare the TLS settings of both sides"
    ),
    # The login.
    "no password supplied|empty password": _NO_PASSWORD,
    "no pg_hba.conf entry|pg_hba.conf rejects": ConnectFailure(
        "its rules (pg_hba.conf) do not accept this user from here, or not without TLS",
        f"add a rule to pg_hba.conf, or change sslmode in {_DSN}",
    ),
    "authentication failed|no such user|server login (has been failing|failed)": _LOGIN,
    "role .* does not exist": ConnectFailure("there is no such user", f"correct it in {_DSN}"),
    "not permitted to log in": ConnectFailure(
        "this user may not log in", f"ALTER ROLE ... LOGIN, or name another user in {_DSN}"
    ),
    "permission denied for database": ConnectFailure(
        "this user may not connect to this database", "GRANT CONNECT ON DATABASE ... TO this user"
    ),
    "database .* does not exist|no such database": ConnectFailure(
        "there is no such database", f"create it (createdb), or correct the name in {_DSN}"
    ),
    "not currently accepting connections": ConnectFailure(
        "this database accepts no connections", "ALTER DATABASE ... ALLOW_CONNECTIONS true"
    ),
    # Its limits.
    "too many connections for role": ConnectFailure(
        "this user's limit on connections is reached",
        f"{_LIMIT}: ALTER ROLE ... CONNECTION LIMIT",
        at_limit=True,
    ),
    "too many connections for database": ConnectFailure(
        "this database's limit on connections is reached",
        f"{_LIMIT}: ALTER DATABASE ... CONNECTION LIMIT",
        at_limit=True,
    ),
    "too many clients|connection slots are reserved|no more connections|query_wait_timeout": (
        ConnectFailure(
            "all connections that it allows are taken",
            f"{_LIMIT}: max_connections",
            at_limit=True,
        )
    ),
    # Its state.
    "starting up|not yet accepting connections|in recovery mode": ConnectFailure(
        "it is starting", "wait until it has started"
    ),
    "shutting down|due to administrator command": ConnectFailure(
        "it is shutting down", "start it again"
    ),
    "session is read-only|in hot standby mode": ConnectFailure(
        "no server that the DSN names is of the kind that target_session_attrs asks for",
        f"promote one, or correct the hosts in {_DSN}",
    ),
    "invalid value for parameter|unrecognized configuration parameter|unsupported startup"
    "|invalid command-line argument|permission denied to set parameter": ConnectFailure(
        "it rejects an option of the DSN", f"correct options in {_DSN}"
    ),
    "invalid .*(value|method)|could not match .* (port|host)": ConnectFailure(
        "the DSN has an option with a wrong value", f"correct it in {_DSN}"
    ),
    # The way there.
    "failed to resolve host|could not translate host name": _UNKNOWN_HOST,
    "Connection refused|No such file or directory": ConnectFailure(
        "nothing listens at its address", f"start it, or correct host and port in {_DSN}"
    ),
    "No route to host|Network is unreachable|Host is unreachable|timed out": ConnectFailure(
        "its address does not answer", "check its machine, and the firewalls in between"
    ),
}
"""By patterns of texts; if a DSN names several addresses, what comes first here counts."""


def connect_failure(error: Exception) -> ConnectFailure:
    """Why an attempt to connect failed; of several addresses the first reason that is known."""
    if isinstance(error, ConnectionTimeout):
        return SILENT
    if isinstance(error, socket.gaierror):
        return _UNKNOWN_HOST
    text = str(error)
    for pattern, failure in _KNOWN.items():
        if re.search(pattern, text, re.IGNORECASE):
            return failure
    facts = error.pgconn if isinstance(error, psycopg.Error) else None
    if facts and facts.needs_password:
        return _NO_PASSWORD
    return _SOME_LOGIN if facts and facts.used_password else _UNNAMED
