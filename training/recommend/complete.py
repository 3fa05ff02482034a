"""What completes a partial basket (stub)."""
def complete(purchases, baskets, k, novel): raise NotImplementedError
