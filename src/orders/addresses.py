"""Checks the addresses of servers without connecting, and shows them without passwords."""

import os
import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit

HIDDEN = "********"

_POSTGRES_CHOICES = {
    "sslmode": "disable allow prefer require verify-ca verify-full",
    "sslnegotiation": "postgres direct",
    "sslcertmode": "disable allow require",
    "channel_binding": "disable prefer require",
    "gssencmode": "disable prefer require",
    "target_session_attrs": "any read-write read-only primary standby prefer-standby",
    "load_balance_hosts": "disable random",
}
_POSTGRES_SECRETS = {"password", "sslpassword", "scram_client_key", "oauth_client_secret"}
_POSTGRES_NUMBERS = (
    "connect_timeout",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "tcp_user_timeout",
)

_RedisKind = Literal["server", "cluster", "sentinel"]
_REDIS_KINDS: dict[str, tuple[_RedisKind, bool]] = {
    "redis": ("server", False),
    "rediss": ("server", True),
    "redis+cluster": ("cluster", False),
    "rediss+cluster": ("cluster", True),
    "redis+sentinel": ("sentinel", False),
    "rediss+sentinel": ("sentinel", True),
}
_REDIS_SECRETS = {"password", "ssl_password", "sentinel_password"}
_UNUSABLE = {
    "server": {"sentinel_username", "sentinel_password"},
    # The client's cluster has no parameters for the last two.
    "cluster": {"sentinel_username", "sentinel_password", "db", "ssl_ca_path", "ssl_password"},
    "sentinel": set(),
}
_LAST_PORT = 65535
_BOOLEANS = {"true", "false", "yes", "no", "1", "0"}


def postgres_fault(value: str) -> str | None:
    """Return what is wrong with a libpq URL or key=value string, or None."""
    # Imported here: a command that does not connect need not load it.
    from psycopg import ProgrammingError  # noqa: PLC0415
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415

    try:
        found = {name: str(value) for name, value in conninfo_to_dict(value).items()}
    except ProgrammingError:
        return "must be a libpq URL or key=value string"
    for name, choices in _POSTGRES_CHOICES.items():
        if name in found and found[name] not in choices.split():
            return f"{name} must be one of {choices.replace(' ', ', ')}"
    for name in _POSTGRES_NUMBERS:
        if name in found and not found[name].lstrip("-").isdecimal():
            return f"{name} must be a whole number"
    if fault := _ports_fault(found):
        return fault
    if found.get("sslrootcert") != "system" and (
        fault := _pem_fault("sslrootcert", found.get("sslrootcert"))
    ):
        return fault
    return _first(lambda name: _file_fault(name, found.get(name)), "sslcert", "sslkey", "sslcrl")


def _ports_fault(found: dict[str, str]) -> str | None:
    ports = found.get("port", "").split(",")
    if not all(_is_port(port) for port in ports if port):
        return "port must be from 1 to 65535"
    hosts = found.get("host", found.get("hostaddr", "")).split(",")
    return None if len(ports) in {1, len(hosts)} else "port must be one, or one for each host"


def shown_postgres(value: str) -> str:
    """Return a valid DSN as a key=value string, with secrets hidden."""
    from psycopg.conninfo import conninfo_to_dict, make_conninfo  # noqa: PLC0415

    found = conninfo_to_dict(value)
    return make_conninfo("", **found | dict.fromkeys(_POSTGRES_SECRETS & found.keys(), HIDDEN))


@dataclass(frozen=True)
class RedisAddress:
    """A URL of Redis in parts.

    Attributes:
        kind: what listens at ``hosts``: the server, nodes of a cluster, or sentinels.
        tls: whether connections are encrypted, those to sentinels too.
        hosts: host and port of each; the port is None where the URL has none.
        service: the name by which sentinels know the master.
        options: by the client's names, login and database included.
    """

    kind: _RedisKind
    tls: bool
    hosts: tuple[tuple[str, int | None], ...]
    service: str
    options: dict[str, str] = field(repr=False)


def parse_redis(value: str) -> RedisAddress:
    """Return the parts of a URL of Redis, without a look at the values of its options.

    Raises:
        ValueError: it is not valid; the text has names of options, but no host and no secret.
    """
    scheme, _, rest = value.partition("://")
    if scheme not in _REDIS_KINDS or not rest:
        *first, last = (f"{name}://" for name in _REDIS_KINDS)
        raise ValueError(f"must begin with {', '.join(first)} or {last}, and name a host")
    kind, tls = _REDIS_KINDS[scheme]
    try:
        parts = urlsplit(value)
        given = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise ValueError("is not a valid URL") from None
    if fault := _redis_host_fault(kind, parts):
        raise ValueError(fault)
    service, database = _redis_path(scheme, kind, parts.path)
    login, _, hosts = parts.netloc.rpartition("@")
    username, _, password = login.partition(":")
    said = {"username": unquote(username), "password": unquote(password), "db": database}
    given += [(name, text) for name, text in said.items() if text]
    options = dict(given)
    if fault := _first(lambda name: _redis_option_fault(scheme, name), *options):
        raise ValueError(fault)
    if len(options) < len(given):
        raise ValueError("has an option twice; a login or database before the ? counts")
    return RedisAddress(kind, tls, tuple(map(_host, hosts.split(","))), service, options)


def redis_fault(value: str) -> str | None:
    """Return what is wrong with the URL of a server, a cluster or sentinels, or None."""
    try:
        options = parse_redis(value).options
    except ValueError as error:
        return str(error)
    return _first(lambda name: _REDIS_OPTIONS[name](name, options[name]), *options)


def shown_redis(value: str) -> str:
    """Return a valid URL with passwords hidden.

    A user without a password is hidden too: it may be a password without its colon.
    """
    parts = urlsplit(value)
    credentials, at, hosts = parts.netloc.rpartition("@")
    user, colon, _ = credentials.partition(":")
    login = f"{user}:{HIDDEN}" if colon else HIDDEN
    options = [(k, HIDDEN if k in _REDIS_SECRETS else v) for k, v in parse_qsl(parts.query)]
    return parts._replace(
        netloc=f"{login}@{hosts}" if at else hosts, query=urlencode(options, safe="*/")
    ).geturl()


def bootstrap_fault(value: str) -> str | None:
    """Return what is wrong with Kafka's host:port list, or None."""
    if all(_is_host(server.strip(), needs_port=True) for server in value.split(",")):
        return None
    return "must be host:port, or several of them separated by commas"


def ca_file_fault(value: str) -> str | None:
    """Return what is wrong with a file of CA certificates, or None."""
    return _pem_fault("", value)


def file_fault(value: str) -> str | None:
    """Return what is wrong with the path of a file that is to be read, or None."""
    return _file_fault("", value)


def log_file_fault(value: str) -> str | None:
    """Return what is wrong with where a log is to be written, or None."""
    path = Path(value)
    if value in {"stdout", "stderr"}:
        return None
    written = path if path.exists() else path.parent
    if path.is_dir() or not os.access(written, os.W_OK):
        return "must be stdout, stderr, or a file that this user may write"
    return None


def file_or_https_fault(value: str) -> str | None:
    """Return what is wrong with the path of a file or an https:// URL, or None.

    Without TLS only this machine is accepted: whoever is between could exchange the content.
    """
    scheme, separator, rest = value.partition("://")
    if not separator:
        return file_fault(value)
    host = rest.partition("/")[0]
    if _is_host(host):
        name = urlsplit("//" + host).hostname or ""
        if scheme == "https" or (scheme == "http" and is_loopback(name)):
            return None
    return "must be the path of a file, or an https:// URL without a login"


def networks_fault(value: str) -> str | None:
    """Return what is wrong with a list of addresses and networks, or None."""
    try:
        for each in value.split(","):
            ip_network(each.strip())
    except ValueError:
        return "must be addresses or networks such as 10.0.0.0/8, separated by commas"
    return None


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that listens on ``host``."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def key_fault(certificate: str, key: str | None, password: str | None) -> str | None:
    """Return what is wrong with a certificate and its key in files in PEM, or None."""
    import ssl  # noqa: PLC0415 (as above)

    if any(_file_fault("", path) for path in (certificate, key)):
        return None  # which is said of that file
    try:
        # Without a password OpenSSL would ask for one on the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, password or "")
    except (OSError, ValueError):  # ssl.SSLError is an OSError
        return "is no certificate in PEM, or the key is not its key, or the password not the key's"
    return None


def command_fault(value: str) -> str | None:
    """Return what is wrong with a command line, or None."""
    try:
        words = shlex.split(value)
    except ValueError:
        return "has a quotation mark that is not closed"
    if words and shutil.which(words[0]):
        return None
    return "names no program that can be run"


def _redis_host_fault(kind: _RedisKind, parts: SplitResult) -> str | None:
    hosts = parts.netloc.rpartition("@")[2].split(",")
    if len(hosts) > 1 and kind == "server":
        return (
            "names several hosts: use redis+cluster:// for a cluster, redis+sentinel:// for "
            "sentinels, else name one"
        )
    if all(map(_is_host, hosts)) and not parts.fragment:
        return None
    return (
        "must name a host, and a port from 1 to 65535 if any; "
        "write % / ? # @ in a password as %25 %2F %3F %23 %40"
    )


def _redis_path(scheme: str, kind: _RedisKind, path: str) -> tuple[str, str]:
    """Return the service of sentinels and the number of the database, each "" if not given."""
    service, database = "", path.strip("/")
    if kind == "sentinel":
        service, _, database = database.partition("/")
        if not service:
            raise ValueError(f"must name the service: {scheme}://host:port,host:port/service")
    elif kind == "cluster" and path:
        raise ValueError(f"{scheme}:// takes no path: a cluster has no databases")
    if database and not database.isdecimal():
        raise ValueError("the path must end with the number of a database")
    return unquote(service), database


def _redis_option_fault(scheme: str, name: str) -> str | None:
    kind, tls = _REDIS_KINDS[scheme]
    usable = [
        option
        for option in _REDIS_OPTIONS
        if option not in _UNUSABLE[kind] and (tls or not option.startswith("ssl_"))
    ]
    if name in usable:
        return None
    known = f"{scheme}:// knows {', '.join(usable)}"
    if name in _REDIS_OPTIONS:
        return f"option {name} cannot be used here: {known}"
    # What is no name may be part of a password.
    shown = f"option {name}" if name.isidentifier() else "an option"
    return f"{shown} is not known: {known}"


def _host(text: str) -> tuple[str, int | None]:
    parts = urlsplit("//" + text.strip())
    return str(parts.hostname), parts.port


def _is_host(host: str, *, needs_port: bool = False) -> bool:
    try:
        parts = urlsplit("//" + host)
        port = parts.port
    except ValueError:
        return False
    rest = (parts.path, parts.query, parts.fragment, parts.username)
    # A port of 0 is none; without a port there is a default one, unless it is needed.
    is_port_good = not needs_port if port is None else port > 0
    return bool(parts.hostname) and not any(rest) and is_port_good


def _is_port(value: str) -> bool:
    return value.isdecimal() and 1 <= int(value) <= _LAST_PORT


def _is_boolean(name: str, value: str) -> str | None:
    return None if value.lower() in _BOOLEANS else f"{name} must be true or false"


def _is_number(name: str, value: str) -> str | None:
    return None if value.isdecimal() else f"{name} must be a whole number"


def _any_text(name: str, value: str) -> str | None:
    return None if value else f"{name} is empty"


def _is_verification(name: str, value: str) -> str | None:
    choices = ("none", "optional", "required")
    return None if value in choices else f"{name} must be one of {', '.join(choices)}"


def _file_fault(name: str, path: str | None) -> str | None:
    if path is None:
        return None
    try:
        with Path(path).open("rb"):
            return None
    except (OSError, ValueError) as error:  # ValueError: a null byte
        text = getattr(error, "strerror", None) or "not a path"
        return f"{name} names a file that cannot be read ({text})".lstrip()


def _pem_fault(name: str, path: str | None) -> str | None:
    if path is None or (fault := _file_fault(name, path)):
        return fault if path else None
    import ssl  # noqa: PLC0415 (as above)

    try:
        if ssl.create_default_context(cafile=path).get_ca_certs():
            return None
    except (OSError, ValueError):  # ssl.SSLError is an OSError
        pass
    return f"{name} names a file without CA certificates in PEM".lstrip()


def _folder_fault(name: str, path: str) -> str | None:
    return None if Path(path).is_dir() else f"{name} names no folder"


def _ciphers_fault(name: str, value: str) -> str | None:
    import ssl  # noqa: PLC0415 (as above)

    try:
        ssl.create_default_context().set_ciphers(value)
    except ssl.SSLError:
        return f"{name} names no cipher that is known"
    return None


def _tls_version_fault(name: str, value: str) -> str | None:
    import ssl  # noqa: PLC0415 (as above)

    numbers = [str(version.value) for version in ssl.TLSVersion if version.value > 0]
    return None if value in numbers else f"{name} must be one of {', '.join(numbers)}"


def _first(check: Callable[..., str | None], *values: object) -> str | None:
    return next(filter(None, map(check, values)), None)


_REDIS_OPTIONS: dict[str, Callable[[str, str], str | None]] = {
    "db": _is_number,
    "username": _any_text,
    "password": _any_text,
    "sentinel_username": _any_text,
    "sentinel_password": _any_text,
    "client_name": _any_text,
    "health_check_interval": _is_number,
    "socket_keepalive": _is_boolean,
    "ssl_ca_certs": _pem_fault,
    "ssl_ca_path": _folder_fault,
    "ssl_certfile": _file_fault,
    "ssl_keyfile": _file_fault,
    "ssl_password": _any_text,
    "ssl_cert_reqs": _is_verification,
    "ssl_check_hostname": _is_boolean,
    "ssl_ciphers": _ciphers_fault,
    "ssl_min_version": _tls_version_fault,
}
