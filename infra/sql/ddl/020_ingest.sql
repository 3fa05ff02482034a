-- What the stream took in and what it set aside.

CREATE TABLE IF NOT EXISTS ingested (
    query_id   LowCardinality(String) COMMENT 'identity of the stream\'s checkpoint',
    batch      Int64,
    topic      LowCardinality(String),
    event_type LowCardinality(Nullable(String)) COMMENT 'where it could be read',
    rule       LowCardinality(Nullable(String)) COMMENT 'null: accepted into bronze',
    ds         Date COMMENT 'business day of the events; day of ingest where it could not be read',
    events     Int64,
    landed_at  DateTime64(6, 'UTC') COMMENT 'UTC'
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(ds)
ORDER BY (topic, ds, query_id, batch)
TTL toDate(landed_at) + INTERVAL 5 YEAR
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'what each micro-batch took in, counted';

CREATE TABLE IF NOT EXISTS quarantine (
    topic          LowCardinality(String),
    rule           LowCardinality(String) COMMENT 'name of the rule it broke',
    reason         Nullable(String) COMMENT 'what was found, in words',
    raw            String COMMENT 'the first 1000 of the bytes as they came; the lake has all' CODEC(ZSTD(3)),
    position       String,
    event_id       Nullable(String) COMMENT 'where it could be read',
    ds             Date COMMENT 'day of quarantine, UTC',
    quarantined_at DateTime64(6, 'UTC')
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(ds)
ORDER BY (topic, rule, ds)
TTL ds + INTERVAL 5 YEAR
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'what broke a rule: nothing malformed vanishes';
