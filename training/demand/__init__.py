"""Demand: how much each store will sell of each product, with quantiles; the model family and `shelfcast forecast`."""
