"""Recommendations: what a customer will buy again, what is new to them, and what completes a basket."""
