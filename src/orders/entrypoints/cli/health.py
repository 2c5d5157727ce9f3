"""The command `orders health`, which imports next to nothing: it is run every few seconds."""

import os
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from itertools import chain

import click

from orders.config import ConfigError, load

_SECONDS = 3.0
_OK = 200
_LOCAL = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
_ADDRESSES = {
    "api": (("http_health_host", "http_health_port"), ("http_host", "http_port")),
    "consumer": (("consumer_health_host", "consumer_health_port"),),
}
"""The settings with host and port of each process; the first whose port is set is used."""
_TLS = ("http_tls_certificate", "http_tls_key")


@click.command()
@click.argument("process", type=click.Choice(list(_ADDRESSES)))
@click.option("--live", is_flag=True, help="Ask whether it is alive, not whether it is ready.")
def health(process: str, *, live: bool) -> None:
    """Ask the API or the consumer on this machine whether it is ready.

    Finds it by the settings. Exits with 0 if it is, with 1 if it is not or does not answer within
    3 s, and with 2 if the settings are wrong. Meant for the health checks of containers.

    \b
    Examples:
      orders health api
      orders health consumer --live
    """
    addresses = _ADDRESSES[process]
    try:
        required = ("consumer_health_port",) if process == "consumer" else ()
        only = (*chain(*addresses), *_TLS)
        settings = load(os.environ, required=required, only=only)
    except ConfigError as error:
        for fault in error.faults:
            click.echo(f"orders: {fault}", err=True)
        raise SystemExit(2) from None
    given = [(getattr(settings, host), getattr(settings, port)) for host, port in addresses]
    host, port = next(address for address in given if address[1] is not None)
    has_tls = settings.http_tls_certificate is not None and port == settings.http_port
    connection = _connection(_LOCAL.get(host, host), port, has_tls=has_tls)
    try:
        connection.request("GET", "/health/live" if live else "/health/ready")
        response = connection.getresponse()
        click.echo(response.read(65_536).decode("utf-8", "replace"))
    except (OSError, HTTPException):
        raise click.ClickException(f"the {process} does not answer at port {port}") from None
    finally:
        connection.close()
    if response.status != _OK:
        raise SystemExit(1)


def _connection(host: str, port: int, *, has_tls: bool) -> HTTPConnection:
    if not has_tls:
        return HTTPConnection(host, port, timeout=_SECONDS)
    import ssl  # noqa: PLC0415 (loaded only where it is used)

    # It is this machine, and its address is not in the certificate.
    context = ssl._create_unverified_context()  # noqa: S323, SLF001
    return HTTPSConnection(host, port, timeout=_SECONDS, context=context)
