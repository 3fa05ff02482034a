"""The policies that items or rules may name for a pair, instead of `marginal`, what pays (training.stock.policies): the
textbook's, each of which meets demand with a chance that is known beforehand, the critical ratio.

`newsvendor` buys up to the ratio's quantile of what is needed between this order's arrival and the next one's beyond the stock that
will be left by then; `tuned_newsvendor` the same, with the ratio chosen by simulated cost on earlier history. The others count all
that is on hand and on order against the quantile of the demand over lead time and review: `order_up_to`, (R,S), the base stock, up
to it; `reorder_up_to`, (R,s,S), from below it (s) up to an economic order quantity less a review's demand beyond it (S);
`reorder_quantity`, (r,Q), from below it (r) by as many lots as lift the position to it, of an economic order quantity each (Q), at
least a review's demand, in whole packs. Snyder and Shen, Fundamentals of Supply Chain Theory, 2nd ed., ch. 3 to 6; the ratio for lots
that last longer than a review: Hadley and Whitin, Analysis of Inventory Systems, 1963, ch. 4."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from infra.errors import BadInput

if TYPE_CHECKING:
    from training.stock.terms import Terms

#: by the numbers that `Terms.policy` holds
POLICIES = ("marginal", "newsvendor", "tuned_newsvendor", "order_up_to", "reorder_up_to", "reorder_quantity")
MARGINAL, NEWSVENDOR, TUNED_NEWSVENDOR, ORDER_UP_TO, REORDER_UP_TO, REORDER_QUANTITY = range(len(POLICIES))
#: a ratio beyond this asks for more than a distribution can tell: what is held for nothing
_HIGHEST_RATIO = 0.9999


def policy_number(text: object) -> int:
    """The place of a name in POLICIES; raises BadInput when it is none of them."""
    if text not in POLICIES:
        raise BadInput(f"column 'policy' is {text!r}; expected one of {', '.join(POLICIES)}")
    return POLICIES.index(str(text))


def counts_position(policy: np.ndarray) -> np.ndarray:
    """(pairs,) whether a policy counts all that is on order, as against the stock that will be left."""
    return policy >= ORDER_UP_TO


def spreads_fixed_cost(policy: np.ndarray) -> np.ndarray:
    """(pairs,) whether a policy orders for longer than a review where an order costs something."""
    return policy >= REORDER_UP_TO


def critical_ratio(terms: Terms, patience: np.ndarray, charge: np.ndarray, lasts: np.ndarray) -> np.ndarray:
    """(pairs,) shortage / (shortage + overage), at least the service level. Overage: a unit that is not sold is held for the time
    that an order `lasts` (pairs,) periods, times `patience`; what spoils before the next one is lost too. `charge` as in `marginal`
    makes a unit that is sold worth less (the newsvendor under a budget)."""
    spoils = np.where(terms.shelf_life <= terms.review, terms.unit_cost, 0.0)
    overage = terms.holding * patience * lasts + spoils
    ratio = np.maximum(terms.shortage - charge, 0.0) / np.maximum(terms.shortage + overage, 1e-12)
    return np.minimum(np.maximum(ratio, terms.service), _HIGHEST_RATIO)


def lot(terms: Terms, cycle: np.ndarray, pace: np.ndarray) -> np.ndarray:
    """(pairs,) units that an order is counted in: the pack, or the quantity of (r,Q): `cycle` units beyond a review at `pace`."""
    packs = np.minimum(np.ceil((terms.review * pace + cycle) / terms.pack - 1e-9), np.floor(terms.maximum / terms.pack + 1e-9))
    return np.where(terms.policy == REORDER_QUANTITY, np.maximum(packs, 1.0), 1.0) * terms.pack
