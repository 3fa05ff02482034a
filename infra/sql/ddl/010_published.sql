-- Which version of which lake table the warehouse holds: what makes copying repeatable.

CREATE TABLE IF NOT EXISTS published (
    name       LowCardinality(String) COMMENT 'the table, here and in the lake',
    lake_table String COMMENT 'identity of the lake table: another one is copied anew',
    version    Int64 COMMENT 'its version that was copied',
    at         DateTime64(6, 'UTC')
)
ENGINE = ReplacingMergeTree(at)
ORDER BY name;
