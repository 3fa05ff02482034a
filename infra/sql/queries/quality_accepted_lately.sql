-- What share of the lines of the last day of landings was accepted? A line that was sent twice is no bad one.
SELECT topic, sumIf(i.events, rule IS NULL) AS accepted, sumIf(i.events, coalesce(rule, '') != 'duplicate_event') AS told,
       round(accepted / told, 4) AS share
FROM ingested AS i
WHERE i.landed_at > (SELECT max(landed_at) FROM ingested) - INTERVAL 1 DAY
GROUP BY topic
HAVING told > 0
ORDER BY share, topic
