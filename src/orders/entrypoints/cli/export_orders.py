"""The command `orders export`."""

from datetime import datetime
from pathlib import Path
from typing import Literal

import click
import msgspec

from orders.bootstrap import Container, build, open_all
from orders.domain.order.queries import OrderQuery
from orders.domain.ports import OrderSink
from orders.domain.use_cases.export_orders import ExportReport
from orders.entrypoints.audit import open_audit, operator
from orders.entrypoints.cli.counted import counted
from orders.entrypoints.cli.dlq.options import Moment
from orders.entrypoints.cli.dlq.stop_flag import StopFlag
from orders.entrypoints.cli.transfers import TransferProgress, run_transfer
from orders.entrypoints.startup import NEEDED_BY, settings_or_exit, start_logging


@click.command("export")
@click.option("--order-uid", help="Only the order with exactly this order_uid.")
@click.option("--customer-id", help="Only orders of this customer.")
@click.option("--track-number", help="Only orders with this track_number.")
@click.option("--created-from", type=Moment(), help="Only orders created then or later.")
@click.option("--created-to", type=Moment(), help="Only orders created before.")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["ndjson", "csv"]),
    default="ndjson",
    show_default=True,
    help="One JSON document a line, or a folder with orders.csv and items.csv.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, resolve_path=True),
    help="The file, or the folder for csv; standard output if there is none.",
)
@click.option(
    "--compress",
    type=click.Choice(["gzip", "zstd", "none"]),
    help="For ndjson; by default the suffix decides: .gz or .zst.",
)
def export_orders(
    *,
    order_uid: str | None,
    customer_id: str | None,
    track_number: str | None,
    created_from: datetime | None,
    created_to: datetime | None,
    kind: str,
    output: Path | None,
    compress: Literal["gzip", "zstd", "none"] | None,
) -> None:
    """Export stored orders to a file or to standard output.

    The newest come first. A file gets its name when it is complete, and replaces an older one.
    Only its owner may read it, for it has personal data. `orders import` takes what is exported as
    ndjson.

    In CSV, text that a spreadsheet would run as a formula has an apostrophe in front.

    \b
    Examples:
      orders export --output orders.ndjson.zst
      orders export --customer-id test --created-from 2026-01-01
      orders export --format csv --output january --created-to 2026-02-01
    """
    if kind == "csv":
        if output is None or compress is not None:
            raise click.UsageError("csv needs a folder as --output, and takes no --compress")
        if output.exists() and not (output.is_dir() and not any(output.iterdir())):
            raise click.UsageError(f"{output} exists and is not an empty folder")
    elif output is not None:
        # A device would be replaced by the file.
        if output.exists() and not output.is_file():
            raise click.UsageError(f"{output} exists and is not a file")
        if not output.parent.is_dir():
            raise click.UsageError(f"there is no folder {output.parent}")
    settings = settings_or_exit(NEEDED_BY["export"])
    start_logging(settings, "export")
    container = build(settings, "export")
    query = OrderQuery(order_uid, customer_id, track_number, created_from, created_to)
    if kind == "csv" and output is not None:
        sink: OrderSink = container.csv_sink()(output)
    else:
        sink = container.ndjson_sink()(output, compress)
    _export(container, query, sink)


def _export(container: Container, query: OrderQuery, sink: OrderSink) -> None:
    audit = open_audit(container.settings(), "export")
    stop = StopFlag()

    async def run() -> ExportReport:
        async with open_all(container.database()):
            use_case = container.export_orders()
            result: ExportReport = await use_case(
                query, sink, progress=progress, wants_stop=lambda: stop.is_set
            )
            return result

    def record(outcome: str) -> None:
        if audit is not None:
            given = msgspec.structs.asdict(query).items()
            filters = [name for name, value in given if value is not None and name != "view"]
            number = progress.orders
            uids = [query.order_uid] if query.order_uid and number else []
            audit.record("exported", uids, operator(), outcome, number=number, filters=filters)

    with TransferProgress("exporting") as progress:
        report = run_transfer(run(), stop, record)
        rate = progress.rate
    if report.is_stopped:
        raise click.ClickException("stopped: nothing was exported")
    click.echo(f"exported {counted(report.orders, 'order')} ({rate:,} a second)", err=True)
