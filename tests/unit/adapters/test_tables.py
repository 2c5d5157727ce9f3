"""What the four tables have as columns, and what goes into them."""

import pytest
from msgspec import Struct

from orders.adapters.postgres.tables import scalars
from orders.domain.order.model import Delivery, Item, Payment


@pytest.mark.parametrize("struct", [Delivery, Payment, Item])
def test_nothing_but_columns_in_what_is_written_as_it_stands(struct: type[Struct]) -> None:
    assert tuple(scalars(struct)) == struct.__struct_fields__
