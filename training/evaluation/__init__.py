"""How forecasts are judged: metrics by their usual definitions, written once, and rolling origins."""
