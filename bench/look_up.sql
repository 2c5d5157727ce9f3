SELECT row_to_json(document)
FROM orders o
CROSS JOIN LATERAL (
    SELECT
        o.order_uid,
        o.track_number,
        o.entry,
        (
            SELECT row FROM (
                SELECT name, phone, zip, city, address, region, email
                FROM delivery t WHERE t.order_uid = o.order_uid
            ) AS row
        ) AS delivery,
        (
            SELECT row FROM (
                SELECT
                    transaction, request_id, currency, provider, amount, payment_dt, bank,
                    delivery_cost, goods_total, custom_fee
                FROM payments t WHERE t.order_uid = o.order_uid
            ) AS row
        ) AS payment,
        ARRAY(
            SELECT row FROM items t CROSS JOIN LATERAL (
                SELECT
                    t.chrt_id, t.track_number, t.price, t.rid, t.name, t.sale, t.size,
                    t.total_price, t.nm_id, t.brand, t.status
            ) AS row
            WHERE t.order_uid = o.order_uid ORDER BY t.position
        ) AS items,
        o.locale,
        o.internal_signature,
        o.customer_id,
        o.delivery_service,
        o.shardkey,
        o.sm_id,
        replace(
            -- Quoted colons, for pgbench takes a word behind one for a variable.
            to_char(o.date_created AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24":"MI":"SS.US"Z"'),
            '.000000Z', 'Z'
        ) AS date_created,
        o.oof_shard
) AS document
WHERE o.order_uid = $1;
