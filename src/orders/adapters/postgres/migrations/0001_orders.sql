-- Every key holds order_uid, so that all four tables can be distributed by it and an order's rows
-- lie together. Texts that are keys or indexed compare by their bytes, in any database's locale.

CREATE TABLE orders (
    order_uid          text COLLATE "C" NOT NULL,
    track_number       text COLLATE "C" NOT NULL,
    entry              text             NOT NULL,
    locale             text             NOT NULL,
    internal_signature text             NOT NULL,
    customer_id        text COLLATE "C" NOT NULL,
    delivery_service   text             NOT NULL,
    shardkey           text             NOT NULL,
    sm_id              bigint           NOT NULL,
    date_created       timestamptz      NOT NULL,
    oof_shard          text             NOT NULL,
    CONSTRAINT orders_pkey PRIMARY KEY (order_uid)
);

CREATE TABLE delivery (
    order_uid text COLLATE "C" NOT NULL,
    name      text             NOT NULL,
    phone     text             NOT NULL,
    zip       text             NOT NULL,
    city      text             NOT NULL,
    address   text             NOT NULL,
    region    text             NOT NULL,
    email     text             NOT NULL,
    CONSTRAINT delivery_pkey PRIMARY KEY (order_uid),
    CONSTRAINT delivery_order_uid_fkey
        FOREIGN KEY (order_uid) REFERENCES orders (order_uid) ON DELETE CASCADE
);

CREATE TABLE payments (
    order_uid     text COLLATE "C" NOT NULL,
    transaction   text             NOT NULL,
    request_id    text             NOT NULL,
    currency      text             NOT NULL,
    provider      text             NOT NULL,
    amount        bigint           NOT NULL,
    payment_dt    bigint           NOT NULL,
    bank          text             NOT NULL,
    delivery_cost bigint           NOT NULL,
    goods_total   bigint           NOT NULL,
    custom_fee    bigint           NOT NULL,
    CONSTRAINT payments_pkey PRIMARY KEY (order_uid),
    CONSTRAINT payments_order_uid_fkey
        FOREIGN KEY (order_uid) REFERENCES orders (order_uid) ON DELETE CASCADE
);

-- position counts an order's items from 0: equal items may stand in it twice.
CREATE TABLE items (
    order_uid    text COLLATE "C" NOT NULL,
    position     integer          NOT NULL,
    chrt_id      bigint           NOT NULL,
    track_number text             NOT NULL,
    price        bigint           NOT NULL,
    rid          text             NOT NULL,
    name         text             NOT NULL,
    sale         bigint           NOT NULL,
    size         text             NOT NULL,
    total_price  bigint           NOT NULL,
    nm_id        bigint           NOT NULL,
    brand        text             NOT NULL,
    status       bigint           NOT NULL,
    CONSTRAINT items_pkey PRIMARY KEY (order_uid, position),
    CONSTRAINT items_order_uid_fkey
        FOREIGN KEY (order_uid) REFERENCES orders (order_uid) ON DELETE CASCADE
);

-- Each holds the order in which pages are read, so that a page is one seek, filtered or not.
CREATE INDEX orders_newest_idx ON orders (date_created DESC, order_uid DESC);
CREATE INDEX orders_customer_id_idx ON orders (customer_id, date_created DESC, order_uid DESC);
CREATE INDEX orders_track_number_idx ON orders (track_number, date_created DESC, order_uid DESC);
