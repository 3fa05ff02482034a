"""The arithmetic of an order as one sentence whose printed numbers add up: demand and safety to the order-up-to level,
less what is there and on its way, to the units ordered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.stock.policies import Decision, Shelf
from training.stock.terms import Terms


@dataclass(frozen=True)
class Sums:
    """Arrays over pairs in units to one decimal, such that demand - lost + spread + lead = target, target + cycle = up_to,
    and up_to - on_hand - on_order = need, exactly as printed."""

    demand: np.ndarray
    lost: np.ndarray
    spread: np.ndarray
    lead: np.ndarray
    target: np.ndarray
    cycle: np.ndarray
    on_hand: np.ndarray
    on_order: np.ndarray
    need: np.ndarray


def sums(decision: Decision, shelf: Shelf) -> Sums:
    """The parts of each decision, rounded so that they add up: safety takes the rounding, and is split between the spread
    of demand and of the lead time by their shares of the variance."""
    tenth = {
        name: np.round(value, 1)
        for name, value in (
            ("demand", decision.demand), ("lost", decision.lost), ("target", decision.target), ("cycle", decision.cycle),
            ("on_hand", shelf.on_hand), ("on_order", decision.on_order),
        )
    }  # fmt: skip
    safety = np.round(tenth["target"] - tenth["demand"] + tenth["lost"], 1)
    variance = np.maximum(decision.demand_spread + decision.lead_spread, 1e-12)
    lead = np.round(safety * decision.lead_spread / variance, 1)
    need = np.round(tenth["target"] + tenth["cycle"] - tenth["on_hand"] - tenth["on_order"], 1)
    return Sums(spread=np.round(safety - lead, 1), lead=lead, need=need, **tenth)


def sentences(
    decision: Decision, shelf: Shelf, terms: Terms, days: int, notes: np.ndarray | None = None, opened: np.ndarray | None = None
) -> list[str]:
    """One sentence a pair; `days` a period; `notes` (pairs,) text is put at the end where not empty; `opened` (pairs,): whether
    an order may go out now, default all."""
    parts = sums(decision, shelf)
    lead = (terms.leads * terms.lead_share).sum(axis=1) * days
    review = terms.review * days
    said = [] if notes is None else list(notes)
    may = np.ones(len(lead), bool) if opened is None else opened
    return [
        _sentence(parts, row, float(decision.order[row]), float(lead[row]), float(review[row]), _ending(terms, row), may[row])
        + (f"; {said[row]}" if said and said[row] else "")
        for row in range(len(lead))
    ]


def _sentence(parts: Sums, row: int, order: float, lead: float, review: float, ending: str, may: bool) -> str:
    demand, lost, spread = parts.demand[row], parts.lost[row], parts.spread[row]
    up_to = parts.target[row] + parts.cycle[row]
    text = f"expected demand {demand:.1f} over {lead + review:g} days (lead {lead:g} + review {review:g})"
    text += f" - lost before arrival {lost:.1f}" if lost > 0 else ""
    text += f" + safety {spread + parts.lead[row]:.1f} (demand spread {spread:.1f}, lead-time spread {parts.lead[row]:.1f})"
    text += f" + fixed-cost cycle {parts.cycle[row]:.1f}" if parts.cycle[row] > 0 else ""
    text += f" = order up to {up_to:.1f}; on hand {parts.on_hand[row]:.1f}, on order {parts.on_order[row]:.1f} -> {parts.need[row]:.1f}"
    return f"{text}, {_rounding(parts.need[row], order, ending, may)}"


def _rounding(need: float, order: float, ending: str, may: bool) -> str:
    if not may and need > 0:
        return f"held until an order goes out = {order:g}"
    if need <= 0:
        return f"nothing to order = {order:g}"
    if order <= 0:
        return f"too little to be worth an order ({ending}) = {order:g}"
    return f"rounded to {ending} = {order:g}"


def _ending(terms: Terms, row: int) -> str:
    minimum = f", at least {terms.minimum[row]:g}" if terms.minimum[row] > 0 else ""
    maximum = f", at most {terms.maximum[row]:g}" if np.isfinite(terms.maximum[row]) else ""
    return f"packs of {terms.pack[row]:g}{minimum}{maximum}"
