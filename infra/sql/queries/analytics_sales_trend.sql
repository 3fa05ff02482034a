-- How do sales of each department develop by week?
SELECT toMonday(ds) AS week, department, sum(units) AS units, round(sum(revenue), 2) AS revenue
FROM v_sales_by_department_day
WHERE ds BETWEEN {since:Date} AND {until:Date}
GROUP BY week, department
ORDER BY week, revenue DESC
