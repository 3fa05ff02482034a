"""How many units to order of what, and why: `training.stock.plan(history, stock, items, as_of)`; imports no Spark."""

from __future__ import annotations

# eager on purpose: the name `plan` of this package must be the function, also after its module was imported
from training.stock.plan import plan

__all__ = ["plan"]
