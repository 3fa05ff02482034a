-- Which products are bought together more often than chance would have it? Lift = P(a and b) / (P(a) P(b)) over baskets.
WITH
    (SELECT uniqExact(basket_id) FROM baskets) AS n,
    singles AS (SELECT product_id, uniqExact(basket_id) AS times FROM baskets GROUP BY product_id),
    pairs AS (
        SELECT a.product_id AS product_a, b.product_id AS product_b, uniqExact(a.basket_id) AS together
        FROM baskets AS a INNER JOIN baskets AS b ON a.basket_id = b.basket_id
        WHERE a.product_id < b.product_id
        GROUP BY product_a, product_b
        HAVING together >= {at_least:UInt32}
    )
SELECT product_a, product_b, together, round(together * n / (x.times * y.times), 3) AS lift
FROM pairs
INNER JOIN singles AS x ON x.product_id = product_a
INNER JOIN singles AS y ON y.product_id = product_b
ORDER BY lift DESC, together DESC, product_a, product_b
