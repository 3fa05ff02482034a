-- The stores and the catalogue.

CREATE TABLE IF NOT EXISTS stores (
    store_id         LowCardinality(String),
    utc_offset_hours Nullable(Float64) COMMENT 'local time = UTC + this',
    open_hour        Nullable(Int32) COMMENT 'first open hour of the local day',
    close_hour       Nullable(Int32) COMMENT 'hour at which it closes'
)
ENGINE = MergeTree
ORDER BY (store_id)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'the stores that are known';

CREATE TABLE IF NOT EXISTS products (
    product_id         String,
    description        Nullable(String),
    department         LowCardinality(Nullable(String)),
    category           LowCardinality(Nullable(String)),
    brand              LowCardinality(Nullable(String)),
    supplier_id        LowCardinality(Nullable(String)),
    unit_cost          Nullable(Float64) COMMENT 'money',
    pack_size          Nullable(Float64) COMMENT 'units an order is a multiple of',
    shelf_life_days    Nullable(Float64) COMMENT 'days, null when it keeps',
    lead_time_days     Nullable(Float64) COMMENT 'promised days from order to shelf',
    review_period_days Nullable(Float64) COMMENT 'days between orders'
)
ENGINE = MergeTree
ORDER BY (product_id)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'the catalogue: what may be sold';
