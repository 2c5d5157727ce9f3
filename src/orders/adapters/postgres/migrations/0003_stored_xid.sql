-- oldest compatible version: 1
-- The transaction that has stored or forgotten an order. All with an xid below a snapshot's xmin are
-- visible, so that a cursor over it misses none. Added without its default, so that no row is
-- rewritten: orders that are stored already have none.
ALTER TABLE orders ADD COLUMN stored_xid xid8;
ALTER TABLE orders ALTER COLUMN stored_xid SET DEFAULT pg_current_xact_id();

-- Orders of one transaction share an entry. It is empty now, but the table is read once.
CREATE INDEX orders_stored_xid_idx ON orders (stored_xid) WHERE stored_xid IS NOT NULL;
