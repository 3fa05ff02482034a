"""The HTTP service over the promoted portable models."""
