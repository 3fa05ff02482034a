-- How long do suppliers take, how much does it vary, how often are they late, how much of an order do they fill?
SELECT supplier_id, deliveries, round(lead_time_days, 3) AS lead_time_days, round(lead_time_days_sd, 3) AS lead_time_days_sd,
       round(late_rate, 3) AS late_rate, round(fill_rate, 3) AS fill_rate
FROM f_supplier
ORDER BY supplier_id
