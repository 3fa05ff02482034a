-- What was set aside, by which rule, and what does it look like?
SELECT topic, rule, count() AS events, max(quarantined_at) AS last_at, any(reason) AS example
FROM quarantine
GROUP BY topic, rule
ORDER BY events DESC, topic, rule
