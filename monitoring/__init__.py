"""Drift, accuracy when actuals arrive, and the policy that answers them."""
