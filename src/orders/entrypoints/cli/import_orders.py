"""The command `orders import`."""

import base64
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext, suppress
from pathlib import Path

import click

from orders.bootstrap import Container, build, open_all
from orders.domain.errors import Unavailable
from orders.domain.ports import OrderSource
from orders.domain.use_cases.import_orders import ImportReport, RefusedOrder
from orders.entrypoints.audit import open_audit, operator
from orders.entrypoints.cli.counted import counted
from orders.entrypoints.cli.dlq.stop_flag import StopFlag
from orders.entrypoints.cli.dlq.terminal import json_line, safe
from orders.entrypoints.cli.legacy_dsn import legacy_dsn, legacy_option
from orders.entrypoints.cli.transfers import TransferProgress, run_transfer
from orders.entrypoints.startup import EXIT_FAILED, NEEDED_BY, settings_or_exit, start_logging

_SHOWN = 10
"""Refused orders that are printed; ``--refused`` has all of them."""

_File = click.Path(exists=True, dir_okay=False, allow_dash=True)


@click.command("import")
@click.argument("files", nargs=-1, type=_File)
@legacy_option
@click.option(
    "--direct", is_flag=True, help="Store in the database, bypassing the topic and the cache."
)
@click.option(
    "--refused",
    "refused_file",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write what is refused to this file, with position, code and reason.",
)
def import_orders(
    files: tuple[str, ...], legacy: str | None, *, direct: bool, refused_file: Path | None
) -> None:
    """Import orders from files, from standard input, or from the old service.

    A file has one order a line, or is a JSON array, plain or compressed by gzip or zstd; the
    content shows which. The orders are checked and sent to the topic. With --direct they are
    stored in the database at once. What is refused does not hold up the rest.

    With --legacy the orders come from the database of the old service, in which nothing changes.

    Importing again what is stored already changes nothing: after Ctrl-C, or an error, run the
    same command again.

    The exit code is 0 if all orders were imported, and 1 if not.

    \b
    Examples:
      orders import orders.ndjson
      orders import --direct --refused refused.ndjson part-1.json.gz part-2.json.gz
      zstdcat orders.ndjson.zst | orders import -
      orders import --direct --legacy --refused refused.ndjson
    """
    if legacy is not None and files:
        raise click.UsageError("--legacy takes no files")
    files = files or ("-",)
    if refused_file is not None and legacy is None and _is_one_of(refused_file, files):
        raise click.UsageError(f"--refused {refused_file} is an input, and would be overwritten")
    settings = settings_or_exit(NEEDED_BY["import-direct" if direct else "import"])
    start_logging(settings, "import")
    container = build(settings, "import")
    source: AbstractAsyncContextManager[OrderSource]
    if legacy is None:
        source = nullcontext(container.file_source()(files))
    else:
        source = container.legacy_orders()(legacy_dsn(legacy, settings))
    with _refused_output(refused_file) as on_refused:
        run_import(container, source, on_refused, direct=direct)


def run_import(
    container: Container,
    source: AbstractAsyncContextManager[OrderSource],
    on_refused: Callable[[Sequence[RefusedOrder]], None],
    *,
    direct: bool,
) -> None:
    """Import all orders of ``source`` and print the outcome; exits with 1 if not all are in.

    Every import is a line of the audit log.
    """
    audit = open_audit(container.settings(), "import")
    stop = StopFlag()
    report = ImportReport()

    def on_progress(current: ImportReport) -> None:
        nonlocal report
        report = current
        progress(current.entries)

    async def run() -> ImportReport:
        resource = container.database() if direct else container.producer()
        use_case = container.import_directly() if direct else container.import_to_topic()
        async with source as opened, open_all(resource):
            result: ImportReport = await use_case(
                opened,
                progress=on_progress,
                wants_stop=lambda: stop.is_set,
                on_refused=on_refused,
            )
            return result

    def record(outcome: str) -> None:
        if audit is not None:
            way = "database" if direct else "topic"
            number = report.sent + report.stored
            audit.record("imported", (), operator(), outcome, number=number, to=way)

    def advice() -> str:
        return f"; so far: {_summary(report)}; run the same command again to go on"

    with TransferProgress("importing") as progress:
        report = run_transfer(run(), stop, record, advice)
        rate = progress.rate
    click.echo(f"{_summary(report)} ({rate:,} orders a second)")
    if report.is_stopped:
        click.echo("stopped: run the same command again to go on", err=True)
    if report.is_stopped or report.refused:
        raise SystemExit(EXIT_FAILED)


def _summary(report: ImportReport) -> str:
    conflicts = report.refused.get("conflict", 0)
    parts = {
        "sent to the topic": report.sent,
        "stored": report.stored,
        "unchanged": report.unchanged,
        "forgotten before": report.forgotten,
        "in conflict": conflicts,
        "refused": sum(report.refused.values()) - conflicts,
    }
    told = [f"{number:,} {what}" for what, number in parts.items() if number]
    return ", ".join(told) or "no orders"


def _is_one_of(path: Path, files: Sequence[str]) -> bool:
    """Whether ``path`` is a regular file that is among ``files``, by whatever name."""
    if not path.is_file():  # two names of a device are no conflict
        return False
    with suppress(OSError):  # a closed standard input
        return any(os.path.samefile(path, 0 if name == "-" else name) for name in files)  # noqa: PTH121
    return False


@contextmanager
def _refused_output(path: Path | None) -> Iterator[Callable[[Sequence[RefusedOrder]], None]]:
    """Print the first refused orders, and write all of them to ``path``, if any."""
    number = 0
    try:
        # Only its owner may read it: it has personal data.
        output = None if path is None else open(path, "w", encoding="ascii", opener=_private)  # noqa: SIM115
    except OSError as error:
        raise click.UsageError(f"cannot write {path}: {error.strerror}") from None

    def on_refused(refused: Sequence[RefusedOrder]) -> None:
        nonlocal number
        for one in refused[: max(0, _SHOWN - number)]:
            click.echo(f"{safe(one.position)}: {one.code}: {safe(one.reason)}", err=True)
        number += len(refused)
        if output is not None:
            try:
                output.writelines(json_line(_refused_line(one)) + "\n" for one in refused)
                output.flush()
            except OSError as error:
                raise Unavailable(f"cannot write {path}: {error.strerror}") from error

    try:
        yield on_refused
    finally:
        if output is not None:
            with suppress(OSError):  # what is left after a failure to write it
                output.close()
        if number > _SHOWN:
            click.echo(f"and {counted(number - _SHOWN, 'more refused order')}", err=True)


def _refused_line(refused: RefusedOrder) -> dict[str, str]:
    line = {"position": refused.position, "code": refused.code, "reason": refused.reason}
    try:
        return line | {"original": refused.raw.decode()}
    except UnicodeDecodeError:
        return line | {"original_base64": base64.b64encode(refused.raw).decode()}


def _private(path: str, flags: int) -> int:
    number = os.open(path, flags, 0o600)
    if stat.S_ISREG(os.fstat(number).st_mode):  # and not a device, which others use
        os.fchmod(number, 0o600)
    return number
