-- Views that dashboards and planners read.

CREATE VIEW IF NOT EXISTS v_sales_by_department_day AS
SELECT
    s.ds AS ds,
    if(p.department IS NULL OR p.department = '', 'unknown', p.department) AS department,
    sum(s.units) AS units, sum(s.revenue) AS revenue, sum(s.discount) AS discount,
    sum(s.returned_units) AS returned_units, sum(s.lines) AS lines
FROM sales_daily AS s
LEFT JOIN products AS p ON p.product_id = s.product_id
GROUP BY ds, department;

-- share of open pair-days that ended or ran partly without stock, and of open hours without stock
CREATE VIEW IF NOT EXISTS v_stockout_rate AS
SELECT
    store_id, ds, count() AS pairs, countIf(in_stock < 1) AS pairs_out,
    countIf(in_stock < 1) / count() AS stockout_rate, 1 - avg(in_stock) AS hours_out_rate
FROM stock_daily
WHERE in_stock IS NOT NULL
GROUP BY store_id, ds;

-- the newest forecast made before each day, beside what was sold; days the store was closed or its feed is missing have no actual
CREATE VIEW IF NOT EXISTS v_forecast_vs_actual AS
SELECT
    f.origin AS origin, f.store_id AS store_id, f.product_id AS product_id, f.ds AS ds, f.horizon AS horizon,
    f.units AS forecast, f.q10 AS q10, f.q50 AS q50, f.q90 AS q90, f.model_version AS model_version,
    if(d.status = 'open', s.units, NULL) AS actual, k.in_stock AS in_stock
FROM forecasts AS f
LEFT JOIN sales_daily AS s ON s.store_id = f.store_id AND s.product_id = f.product_id AND s.ds = f.ds
LEFT JOIN store_days AS d ON d.store_id = f.store_id AND d.ds = f.ds
LEFT JOIN stock_daily AS k ON k.store_id = f.store_id AND k.product_id = f.product_id AND k.ds = f.ds
SETTINGS join_use_nulls = 0;

CREATE VIEW IF NOT EXISTS v_orders_today AS
SELECT o.*, p.description AS description, p.department AS department
FROM orders AS o
LEFT JOIN products AS p ON p.product_id = o.product_id
WHERE o.as_of = (SELECT max(as_of) FROM orders) AND o.order_units > 0
ORDER BY o.rank;

CREATE VIEW IF NOT EXISTS v_alerts_open AS
SELECT a.*, p.description AS description
FROM alerts AS a
LEFT JOIN products AS p ON p.product_id = a.product_id
WHERE a.alert AND a.ds = (SELECT max(ds) FROM alerts)
ORDER BY a.score DESC;

CREATE VIEW IF NOT EXISTS v_drift_latest AS
SELECT * FROM drift WHERE (family, ds) IN (SELECT family, max(ds) FROM drift GROUP BY family);
