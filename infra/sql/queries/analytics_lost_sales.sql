-- Where did empty shelves cost most? Lost units are the pair's mean sales on days fully in stock times the share of hours out.
SELECT store_id, product_id, countIf(in_stock < 1) AS days_out,
       round(avgIf(units, in_stock = 1) * sum(1 - in_stock), 2) AS lost_units,
       round(lost_units * argMax(price, ds), 2) AS lost_revenue
FROM f_pair_day
WHERE ds BETWEEN {since:Date} AND {until:Date}
GROUP BY store_id, product_id
HAVING days_out > 0 AND isFinite(lost_units)
ORDER BY lost_units DESC, store_id, product_id
LIMIT {top:UInt32}
