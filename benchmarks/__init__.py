"""Every competitor on the same data in the same run; data sets are read by path and never part of the project."""
