-- oldest compatible version: 1
-- A forgotten order leaves a row in orders, a tombstone, whose key keeps it from being stored again.
-- Its other columns are empty, and its date_created is -infinity: no order can have that, and lists
-- end before it.
ALTER TABLE orders ADD COLUMN forgotten_at timestamptz;

-- No order is in it, so storing orders costs no more. It is empty now, but the table is read once.
CREATE INDEX orders_forgotten_at_idx ON orders (forgotten_at) WHERE forgotten_at IS NOT NULL;
