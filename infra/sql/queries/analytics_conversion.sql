-- Of those who came in, how many bought? By store and day, where visits were counted.
SELECT store_id, ds, visits, baskets, round(baskets / visits, 4) AS conversion
FROM visits_daily
WHERE visits > 0 AND ds BETWEEN {since:Date} AND {until:Date}
ORDER BY ds, store_id
