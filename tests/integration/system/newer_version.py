"""`orders` as the version after this one, whose migration only adds a column."""

from orders.adapters.postgres import schema
from orders.adapters.postgres.schema import Migration
from orders.entrypoints.cli.main import run

THIS = schema.migrations()
LATER = Migration(
    len(THIS) + 1,
    f"{len(THIS) + 1:04}_gift_note",
    b"-- oldest compatible version: %d\n"
    b"ALTER TABLE orders ADD COLUMN gift_note text NOT NULL DEFAULT '';" % len(THIS),
)

if __name__ == "__main__":
    schema.migrations = lambda: (*THIS, LATER)  # type: ignore[assignment]
    run()
