-- Where do the records contradict the shelf: stock below zero, or sales on a day that is said to be without stock?
SELECT k.store_id AS store_id, k.product_id AS product_id, countIf(k.on_hand_close < 0) AS days_below_zero,
       countIf(k.in_stock = 0 AND s.units > 0) AS days_sold_without_stock
FROM stock_daily AS k
LEFT JOIN sales_daily AS s ON s.store_id = k.store_id AND s.product_id = k.product_id AND s.ds = k.ds
WHERE k.ds BETWEEN {since:Date} AND {until:Date}
GROUP BY store_id, product_id
HAVING days_below_zero + days_sold_without_stock > 0
ORDER BY days_below_zero + days_sold_without_stock DESC, store_id, product_id
