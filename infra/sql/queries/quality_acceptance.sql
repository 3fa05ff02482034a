-- What share of each topic's events was accepted, batch by batch?
SELECT topic, query_id, batch, min(i.landed_at) AS landed_at, sumIf(i.events, rule IS NULL) AS accepted, sum(i.events) AS events,
       round(accepted / events, 4) AS share
FROM ingested AS i
GROUP BY topic, query_id, batch
ORDER BY landed_at, batch, topic
