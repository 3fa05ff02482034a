"""Anomalies: how strange each day of each series is, by what, and whether to alert."""
