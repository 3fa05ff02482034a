-- What the promoted models say.

CREATE TABLE IF NOT EXISTS forecasts (
    origin        Date COMMENT 'last day known to the forecast',
    store_id      LowCardinality(String),
    product_id    String,
    ds            Date COMMENT 'the day forecast',
    horizon       Int32 COMMENT 'days ahead, 1 = tomorrow',
    units         Float64 COMMENT 'mean demand',
    q05           Float64 COMMENT 'quantile 0.05',
    q10           Float64 COMMENT 'quantile 0.1',
    q25           Float64 COMMENT 'quantile 0.25',
    q50           Float64 COMMENT 'quantile 0.5',
    q75           Float64 COMMENT 'quantile 0.75',
    q90           Float64 COMMENT 'quantile 0.9',
    q95           Float64 COMMENT 'quantile 0.95',
    model_version LowCardinality(String) COMMENT 'version in the registry, or the baseline\'s name'
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(origin)
ORDER BY (origin, store_id, product_id, ds)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS orders (
    as_of           Date COMMENT 'last day whose sales are known',
    store_id        LowCardinality(String),
    product_id      String,
    supplier_id     LowCardinality(Nullable(String)),
    order_units     Float64,
    reorder_point   Nullable(Float64),
    order_up_to     Nullable(Float64),
    on_hand         Nullable(Float64),
    on_order        Nullable(Float64),
    expected_demand Nullable(Float64) COMMENT 'units over lead time and review period',
    safety_stock    Nullable(Float64),
    expected_cost   Nullable(Float64) COMMENT 'money, of holding and shortage with this order',
    money_at_risk   Nullable(Float64) COMMENT 'money lost if nothing is ordered',
    rank            Int32 COMMENT '1 = most money at risk',
    why             Nullable(String) COMMENT 'the arithmetic, which adds up',
    model_version   LowCardinality(String) COMMENT 'version in the registry, or the baseline\'s name'
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(as_of)
ORDER BY (as_of, store_id, product_id)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS alerts (
    ds            Date,
    store_id      LowCardinality(String),
    product_id    String,
    score         Nullable(Float64) COMMENT 'higher is stranger, comparable across series',
    alert         Bool,
    kind          LowCardinality(Nullable(String)),
    why           Nullable(String),
    model_version LowCardinality(String) COMMENT 'version in the registry, or the baseline\'s name'
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(ds)
ORDER BY (ds, store_id, product_id)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS slow_movers (
    origin        Date,
    store_id      LowCardinality(String),
    product_id    String,
    probability   Float64 COMMENT 'of no sale in the horizon, calibrated',
    action        LowCardinality(Nullable(String)),
    why           Nullable(String),
    model_version LowCardinality(String) COMMENT 'version in the registry, or the baseline\'s name'
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(origin)
ORDER BY (origin, store_id, product_id)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS recommendations (
    origin        Date,
    customer_id   String,
    rank          Int32,
    product_id    String,
    score         Float64,
    why           Nullable(String),
    model_version LowCardinality(String) COMMENT 'version in the registry, or the baseline\'s name'
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(origin)
ORDER BY (origin, customer_id, product_id)
SETTINGS non_replicated_deduplication_window = 1000;
