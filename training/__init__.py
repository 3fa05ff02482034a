"""Model families and the one story that trains, judges and registers them."""
