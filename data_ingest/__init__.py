"""Event contracts, sources, quality rules, the streaming ingest and the daily facts."""
