-- Drift, accuracy and what the policy answered.

CREATE TABLE IF NOT EXISTS drift (
    ds             Date COMMENT 'the day reported on',
    run_at         DateTime64(6, 'UTC') COMMENT 'when the report ran, UTC',
    family         LowCardinality(String),
    column_name    LowCardinality(String) COMMENT 'feature or prediction that was compared',
    method         LowCardinality(String) COMMENT 'wasserstein or jensenshannon',
    statistic      Nullable(Float64) COMMENT 'distance of current from reference',
    threshold      Nullable(Float64) COMMENT 'at or above it the column has drifted; never below the noise of the sample size',
    drifted        Bool,
    reference_days LowCardinality(String) COMMENT 'first day/last day of the reference window',
    current_days   LowCardinality(String) COMMENT 'first day/last day of the current window',
    n              Int64 COMMENT 'rows of each sample'
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(ds)
ORDER BY (ds, family, column_name)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS accuracy (
    ds            Date COMMENT 'the day reported on',
    run_at        DateTime64(6, 'UTC') COMMENT 'when the report ran, UTC',
    family        LowCardinality(String),
    origin        Nullable(Date) COMMENT 'last day known to the predictions that are judged',
    model_version LowCardinality(Nullable(String)),
    segment       LowCardinality(String) COMMENT 'all, `horizon N`, or a group of series',
    metric        LowCardinality(String) COMMENT 'wape, bias, wql, coverage, ...',
    value         Nullable(Float64),
    n             Int64 COMMENT 'predictions whose actual has arrived'
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(ds)
ORDER BY (ds, family, segment, metric)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS policy (
    ds            Date COMMENT 'the day reported on',
    run_at        DateTime64(6, 'UTC') COMMENT 'when the report ran, UTC',
    family        LowCardinality(String),
    action        LowCardinality(String) COMMENT 'nothing, alert, retrain or rollback',
    why           Nullable(String) COMMENT 'one sentence with the numbers',
    model_version LowCardinality(Nullable(String)) COMMENT 'the champion that was looked at',
    value         Nullable(Float64) COMMENT 'its live metric, null while no actual has arrived',
    expected      Nullable(Float64) COMMENT 'what it was promoted on',
    n             Nullable(Int64) COMMENT 'actuals',
    drifted       Nullable(Int64) COMMENT 'columns that drifted',
    watched       Nullable(Int64) COMMENT 'columns compared'
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(ds)
ORDER BY (ds, family)
SETTINGS non_replicated_deduplication_window = 1000;
-- a table of an earlier release keeps its rows
ALTER TABLE policy
    ADD COLUMN IF NOT EXISTS model_version LowCardinality(Nullable(String)),
    ADD COLUMN IF NOT EXISTS value Nullable(Float64),
    ADD COLUMN IF NOT EXISTS expected Nullable(Float64),
    ADD COLUMN IF NOT EXISTS n Nullable(Int64),
    ADD COLUMN IF NOT EXISTS drifted Nullable(Int64),
    ADD COLUMN IF NOT EXISTS watched Nullable(Int64);
