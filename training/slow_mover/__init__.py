"""Slow movers: what will not sell within the horizon, and what to do about it."""
