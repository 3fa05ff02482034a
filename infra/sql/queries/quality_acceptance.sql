-- What share of each topic's events was accepted, batch by batch?
SELECT topic, query_id, batch, min(landed_at) AS landed_at, sumIf(events, rule IS NULL) AS accepted, sum(events) AS events,
       round(accepted / events, 4) AS share
FROM ingested
GROUP BY topic, query_id, batch
ORDER BY landed_at, batch, topic
