-- How does today's shelf price stand against its own regular price and its mean of the 28 days up to a day?
SELECT store_id, product_id, argMax(price, ds) AS price_now, round(argMax(price / regular_price, ds), 4) AS to_regular,
       round(argMax(price, ds) / avg(price), 4) AS to_mean_28d
FROM price_daily
WHERE ds BETWEEN {as_of:Date} - 27 AND {as_of:Date}
GROUP BY store_id, product_id
ORDER BY store_id, product_id
