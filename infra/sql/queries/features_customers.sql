-- How recent, how often, how much: one row a customer, as of a day.
SELECT customer_id, dateDiff('day', max(ds), {as_of:Date}) AS recency_days, uniqExact(basket_id) AS baskets,
       round(sum(revenue), 2) AS spend, uniqExact(product_id) AS products
FROM baskets
WHERE customer_id IS NOT NULL AND ds <= {as_of:Date}
GROUP BY customer_id
ORDER BY customer_id
