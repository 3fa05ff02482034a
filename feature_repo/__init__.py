"""Features: Feast entities and views, the pure transforms behind them, and one facade to read them."""
