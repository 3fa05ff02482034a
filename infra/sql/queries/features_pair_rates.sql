-- What does each pair sell a day of late, counting only days in stock? One row a pair, as of a day.
SELECT store_id, product_id, argMax(units_7d, ds) AS units_7d, argMax(units_28d, ds) AS units_28d,
       argMax(in_stock_28d, ds) AS in_stock_28d, argMax(on_hand, ds) AS on_hand
FROM f_pair_rates
WHERE ds BETWEEN {as_of:Date} - 27 AND {as_of:Date}
GROUP BY store_id, product_id
ORDER BY store_id, product_id
