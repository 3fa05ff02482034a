-- Feature tables as views over the facts: what an analyst joins on without running the feature job. A row of day `ds`
-- looks at nothing later than `ds`.

-- every pair and day on which the shelf is known: sold or not, with price and stock
CREATE VIEW IF NOT EXISTS f_pair_day AS
SELECT
    k.store_id AS store_id, k.product_id AS product_id, k.ds AS ds,
    s.units AS units, k.in_stock AS in_stock, k.on_hand_close AS on_hand, nullIf(p.price, 0) AS price
FROM stock_daily AS k
LEFT JOIN sales_daily AS s ON s.store_id = k.store_id AND s.product_id = k.product_id AND s.ds = k.ds
LEFT JOIN price_daily AS p ON p.store_id = k.store_id AND p.product_id = k.product_id AND p.ds = k.ds
SETTINGS join_use_nulls = 0;

-- sales rates over days in stock: a day without stock says nothing about demand
CREATE VIEW IF NOT EXISTS f_pair_rates AS
SELECT
    store_id, product_id, ds, units, on_hand,
    avgIf(units, in_stock > 0.99) OVER last_7 AS units_7d,
    avgIf(units, in_stock > 0.99) OVER last_28 AS units_28d,
    avg(in_stock) OVER last_28 AS in_stock_28d
FROM f_pair_day
WINDOW
    last_7 AS (PARTITION BY store_id, product_id ORDER BY toInt32(toUInt16(ds)) RANGE BETWEEN 6 PRECEDING AND CURRENT ROW),
    last_28 AS (PARTITION BY store_id, product_id ORDER BY toInt32(toUInt16(ds)) RANGE BETWEEN 27 PRECEDING AND CURRENT ROW);

CREATE VIEW IF NOT EXISTS f_supplier AS
SELECT
    l.supplier_id AS supplier_id, countIf(l.received_on IS NOT NULL) AS deliveries, avg(l.lead_time_days) AS lead_time_days,
    if(countIf(l.lead_time_days IS NOT NULL) > 1, stddevSamp(l.lead_time_days), NULL) AS lead_time_days_sd,
    countIf(l.received_on > l.promised_on) / nullIf(countIf(l.received_on IS NOT NULL AND l.promised_on IS NOT NULL), 0) AS late_rate,
    sumIf(l.received_units, l.received_on IS NOT NULL) / nullIf(sumIf(l.ordered_units, l.received_on IS NOT NULL), 0) AS fill_rate
FROM lead_times AS l
GROUP BY l.supplier_id;

CREATE VIEW IF NOT EXISTS f_customer AS
SELECT
    customer_id, uniqExact(basket_id) AS baskets, sum(revenue) AS spend, uniqExact(product_id) AS products,
    min(ds) AS first_day, max(ds) AS last_day
FROM baskets
WHERE customer_id IS NOT NULL
GROUP BY customer_id;
