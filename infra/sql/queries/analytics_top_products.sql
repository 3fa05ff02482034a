-- Which products earned most in a span of days, and what did their discounts cost?
SELECT s.product_id AS product_id, any(p.description) AS description, sum(s.units) AS units,
       round(sum(s.revenue), 2) AS revenue, round(sum(s.discount), 2) AS discount, uniqExact(s.store_id) AS stores
FROM sales_daily AS s
LEFT JOIN products AS p ON p.product_id = s.product_id
WHERE s.ds BETWEEN {since:Date} AND {until:Date}
GROUP BY product_id
ORDER BY revenue DESC, product_id
LIMIT {top:UInt32}
