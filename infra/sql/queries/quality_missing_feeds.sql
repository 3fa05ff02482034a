-- From which stores did nothing arrive on days on which they were expected?
SELECT store_id, countIf(status = 'feed_missing') AS missing_days, minIf(ds, status = 'feed_missing') AS first_missing,
       maxIf(ds, status = 'feed_missing') AS last_missing, max(ds) AS last_known
FROM store_days
GROUP BY store_id
HAVING missing_days > 0
ORDER BY missing_days DESC, store_id
