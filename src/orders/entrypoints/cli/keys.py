"""The group `orders keys`."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import click
import msgspec

from orders.entrypoints.http.access import key_file
from orders.entrypoints.http.access.key_file import ApiKey, KeyFileError
from orders.entrypoints.http.access.scopes import ScopeName

_LONGEST_NAME = 100


class _Expiry(click.ParamType):  # type: ignore[type-arg]
    """A time in RFC 3339, in UTC if it has no offset, or a number of days from now."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """See ``click.ParamType.convert``."""
        text, now = str(value), datetime.now(UTC)
        try:
            if text.endswith("d") and text[:-1].isascii() and text[:-1].isdecimal():
                moment = now + timedelta(days=int(text[:-1]))
            else:
                moment = datetime.fromisoformat(text)
                moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        except (ValueError, OverflowError):
            self.fail("not a time: 2027-01-31, 2027-01-31T12:00:00Z, 90d", param, ctx)
        if moment <= now:
            self.fail("this time is over", param, ctx)
        return moment.replace(microsecond=0)


_file_option: Callable[[Callable[..., None]], Callable[..., None]] = click.option(
    "--file",
    "path",
    envvar="ORDERS_HTTP_KEYS_FILE",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file of keys; ORDERS_HTTP_KEYS_FILE if that is set.",
)


@click.group()
def keys() -> None:
    """Create, list and revoke keys of the API.

    They are for `orders api` with ORDERS_HTTP_AUTH=keys and ORDERS_HTTP_KEYS_FILE, which notices
    within seconds that the file has changed. The file holds no key, only hashes.

    \b
    Examples:
      orders keys new --file keys.json --name warehouse --scope orders:read
      orders keys list --file keys.json
      orders keys revoke --file keys.json 3f9a01c2
    """


@keys.command()
@_file_option
@click.option("--name", required=True, help="Who will use the key, for `orders keys list`.")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(get_args(ScopeName)),
    multiple=True,
    required=True,
    help="What it may do; can be repeated. None includes another.",
)
@click.option("--expires", type=_Expiry(), help="When it ends, as 2027-01-31 or 90d; else never.")
def new(path: Path, name: str, scopes: Sequence[ScopeName], expires: datetime | None) -> None:
    """Create a key and print it, this once.

    The key is the only output, everything else goes to standard error. The file is created if
    there is none yet.

    \b
    Example:
      orders keys new --file keys.json --name warehouse --scope orders:read --expires 90d
    """
    if not name.isprintable() or not 0 < len(name) <= _LONGEST_NAME:
        raise click.UsageError(f"--name has 1 to {_LONGEST_NAME} printable characters")
    unique = sorted(set(scopes))
    created = datetime.now(UTC).replace(microsecond=0)
    stored, key = key_file.new_key(name, unique, created, expires)
    _edit(path, lambda existing: (*existing, stored), create=True)
    click.echo(f"key {stored.id} for {name}: {' '.join(unique)}. It is not shown again:", err=True)
    click.echo(key)


@keys.command("list")
@_file_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object per line.")
def list_keys(path: Path, *, as_json: bool) -> None:
    """List the keys, without anything by which one could be used.

    \b
    Example:
      orders keys list --file keys.json
    """
    found = _read(path)
    now = datetime.now(UTC)
    rows = [_row(key, now) for key in found]
    if as_json:
        for row in rows:
            click.echo(msgspec.json.encode(row))
        return
    if not rows:
        click.echo("no keys", err=True)
        return
    table = [list(rows[0]), *(list(row.values()) for row in rows)]
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    for line in table:
        cells = (text.ljust(width) for text, width in zip(line, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


@keys.command()
@_file_option
@click.argument("ids", nargs=-1, required=True)
def revoke(path: Path, ids: Sequence[str]) -> None:
    """Remove keys by their ids; sessions that were made from them end, too.

    Removes all of them or, if one is not in the file, none.

    \b
    Example:
      orders keys revoke --file keys.json 3f9a01c2
    """

    def without(existing: tuple[ApiKey, ...]) -> tuple[ApiKey, ...]:
        missing = set(ids) - {key.id for key in existing}
        if missing:
            raise click.ClickException(f"no such key: {', '.join(sorted(missing))}")
        return tuple(key for key in existing if key.id not in ids)

    _edit(path, without)
    click.echo(f"revoked: {', '.join(dict.fromkeys(ids))}", err=True)


def _row(key: ApiKey, now: datetime) -> dict[str, str]:
    is_expired = key.expires is not None and key.expires <= now
    return {
        "id": key.id,
        "state": "expired" if is_expired else "valid",
        "scopes": " ".join(key.scopes),
        "created": key.created.isoformat(timespec="seconds"),
        "expires": key.expires.isoformat(timespec="seconds") if key.expires else "never",
        "name": key.name,
    }


def _read(path: Path) -> tuple[ApiKey, ...]:
    try:
        return key_file.read(path)
    except KeyFileError as error:
        raise click.ClickException(f"{path} {error}") from None


def _edit(
    path: Path,
    change: Callable[[tuple[ApiKey, ...]], tuple[ApiKey, ...]],
    *,
    create: bool = False,
) -> None:
    try:
        key_file.edit(path, change, create=create)
    except KeyFileError as error:
        raise click.ClickException(f"{path} {error}") from None
