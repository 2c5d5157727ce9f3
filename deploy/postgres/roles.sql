-- Four roles, each with what its process needs, in a database that nothing else uses:
--
--   orders_owner      owns the tables; `orders migrate` runs as it, and nothing else
--   orders_consumer   stores orders: reads and inserts
--   orders_api        reads orders; changes and deletes nothing
--   orders_eraser     forgets orders: `orders forget` and `orders purge` run as it. For DELETE by
--                     the API: GRANT orders_eraser TO orders_api
--
-- Run it in that database, as a superuser, or as its owner with CREATEROLE, who becomes a member of
-- orders_owner:
--
--   psql --dbname orders --set ON_ERROR_STOP=1 --single-transaction --file deploy/postgres/roles.sql
--
-- before the first `orders migrate`, and once more after it: a second run changes nothing but the
-- last lines, which are about tables. Tables of later migrations get their rights as they are made.
-- The roles have no passwords yet: \password orders_api in psql, or a rule in pg_hba.conf.

DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY[
        'orders_owner', 'orders_consumer', 'orders_api', 'orders_eraser'
    ] LOOP
        IF to_regrole(wanted) IS NULL THEN
            EXECUTE format('CREATE ROLE %I LOGIN', wanted);
        END IF;
    END LOOP;
    IF NOT pg_has_role('orders_owner', 'USAGE') THEN  -- no superuser
        GRANT orders_owner TO CURRENT_USER;
    END IF;
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format(
        'GRANT CONNECT ON DATABASE %I TO orders_owner, orders_consumer, orders_api, orders_eraser',
        current_database()
    );
END $$;

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO orders_owner;
GRANT USAGE ON SCHEMA public TO orders_consumer, orders_api, orders_eraser;

-- Tables that later migrations add.
ALTER DEFAULT PRIVILEGES FOR ROLE orders_owner IN SCHEMA public
    GRANT SELECT ON TABLES TO orders_api, orders_consumer, orders_eraser;
ALTER DEFAULT PRIVILEGES FOR ROLE orders_owner IN SCHEMA public
    GRANT INSERT ON TABLES TO orders_consumer, orders_eraser;
ALTER DEFAULT PRIVILEGES FOR ROLE orders_owner IN SCHEMA public
    GRANT UPDATE, DELETE ON TABLES TO orders_eraser;

-- Tables that are there, also those that were made before there were roles.
DO $$
DECLARE
    found text;
BEGIN
    FOR found IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
        EXECUTE format('ALTER TABLE public.%I OWNER TO orders_owner', found);
    END LOOP;
END $$;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO orders_api, orders_consumer;
GRANT INSERT ON ALL TABLES IN SCHEMA public TO orders_consumer;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO orders_eraser;

-- What only the owner writes.
DO $$
BEGIN
    IF to_regclass('public.schema_migrations') IS NOT NULL THEN
        REVOKE INSERT, UPDATE, DELETE ON public.schema_migrations
            FROM orders_consumer, orders_eraser;
    END IF;
END $$;
