-- Silver: the daily facts, copied from the lake a month at a time. Sorted by pair and day: most questions are about a
-- pair's or a store's days. Deduplication windows make an insert with a token repeatable.
-- Codecs as measured on the demo's year, whole tables: stock_daily 3.0 MB -> 1.2, price_daily .60 -> .45, sales_daily 1.04 -> .67. Levels
-- that stay take Gorilla, days Delta; ids keep LZ4, which packs a sorted column of theirs better.

CREATE TABLE IF NOT EXISTS sales_daily (
    store_id       LowCardinality(String),
    product_id     String,
    ds             Date CODEC(Delta, ZSTD(1)),
    units          Float64 COMMENT 'units sold, before returns' CODEC(ZSTD(1)),
    returned_units Float64 CODEC(ZSTD(1)),
    revenue        Float64 COMMENT 'money after discount, before returns and refunds' CODEC(ZSTD(1)),
    discount       Float64 COMMENT 'money' CODEC(ZSTD(1)),
    refunds        Float64 COMMENT 'money paid back' CODEC(ZSTD(1)),
    lines          Int64 COMMENT 'purchase lines',
    baskets        Int64 COMMENT 'distinct baskets'
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(ds)
ORDER BY (store_id, product_id, ds)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'a row for every pair and day with a sale, return or refund';

CREATE TABLE IF NOT EXISTS stock_daily (
    store_id       LowCardinality(String),
    product_id     String,
    ds             Date CODEC(Delta, ZSTD(1)),
    on_hand_open   Float64 COMMENT 'units at opening' CODEC(Gorilla, ZSTD(1)),
    on_hand_close  Float64 COMMENT 'units at closing' CODEC(Gorilla, ZSTD(1)),
    received_units Float64 CODEC(ZSTD(1)),
    waste_units    Float64 CODEC(ZSTD(1)),
    adjusted_units Float64 COMMENT 'signed' CODEC(ZSTD(1)),
    in_stock       Nullable(Float64) COMMENT 'share of open hours with stock, 0..1, null where not known: below 1 sales are censored demand' CODEC(ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(ds)
ORDER BY (store_id, product_id, ds)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'a row for every pair and open day from its first stock event on';

CREATE TABLE IF NOT EXISTS price_daily (
    store_id      LowCardinality(String),
    product_id    String,
    ds            Date CODEC(Delta, ZSTD(1)),
    price         Float64 COMMENT 'shelf price of the day' CODEC(ZSTD(1)),
    regular_price Nullable(Float64) COMMENT 'price without promotion' CODEC(ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(ds)
ORDER BY (store_id, product_id, ds)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'a row for every pair and day from its first price on';

CREATE TABLE IF NOT EXISTS promotions (
    store_id       LowCardinality(String),
    product_id     String,
    promotion_id   String,
    promotion_kind LowCardinality(Nullable(String)) COMMENT 'discount, display or mailer',
    starts_on      Date,
    ends_on        Nullable(Date) COMMENT 'last day; null while it runs',
    price          Nullable(Float64) COMMENT 'promotional price'
)
ENGINE = MergeTree
ORDER BY (store_id, product_id, promotion_id, starts_on)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'each run of a promotion of a pair, once';

CREATE TABLE IF NOT EXISTS visits_daily (
    store_id LowCardinality(String),
    ds       Date,
    visits   Nullable(Int64) COMMENT 'people',
    baskets  Int64 COMMENT 'distinct baskets sold'
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(ds)
ORDER BY (store_id, ds)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'foot traffic and the baskets it led to';

CREATE TABLE IF NOT EXISTS store_days (
    store_id LowCardinality(String),
    ds       Date,
    status   LowCardinality(String) COMMENT 'open, closed, or feed_missing: no word of the store itself'
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(ds)
ORDER BY (store_id, ds)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'what a day without a sale means';

CREATE TABLE IF NOT EXISTS lead_times (
    order_id       String,
    supplier_id    LowCardinality(Nullable(String)),
    store_id       LowCardinality(String),
    product_id     String,
    ordered_on     Nullable(Date),
    promised_on    Nullable(Date),
    dispatched_on  Nullable(Date),
    received_on    Nullable(Date) COMMENT 'of its last part so far; null while nothing has come',
    lead_time_days Nullable(Float64) COMMENT 'received_on - ordered_on',
    ordered_units  Nullable(Float64),
    received_units Nullable(Float64),
    unit_cost      Nullable(Float64) COMMENT 'money'
)
ENGINE = MergeTree
ORDER BY (order_id, store_id, product_id)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'a row for every purchase order line';

CREATE TABLE IF NOT EXISTS deliveries (
    order_id   String,
    store_id   LowCardinality(String),
    product_id String,
    ds         Date COMMENT 'day of receipt',
    units      Float64 COMMENT 'units received'
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(ds)
ORDER BY (order_id, store_id, product_id, ds)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'what came of each purchase order line, by day';

CREATE TABLE IF NOT EXISTS baskets (
    basket_id   String,
    store_id    LowCardinality(String),
    customer_id Nullable(String),
    product_id  String,
    ds          Date,
    units       Float64,
    revenue     Float64 COMMENT 'money'
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(ds)
ORDER BY (basket_id, product_id)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'what was bought together';
