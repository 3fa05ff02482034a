"""The arithmetic of an order as one sentence whose printed numbers add up: demand and safety to the order-up-to level,
less what is there and on its way, to the units ordered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.stock.named import POLICIES
from training.stock.policies import Decision, Shelf
from training.stock.terms import Terms

#: units that the printed tenths may hide
_TENTH = 0.0501


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


@dataclass(frozen=True)
class Held:
    """Arrays over pairs: whether an order may go out now (`opened`), the units `asked` for without limits over all items, and
    the name of the limit that `cut` them, '' where none."""

    opened: np.ndarray
    asked: np.ndarray
    cut: np.ndarray


def sentences(
    decision: Decision, shelf: Shelf, terms: Terms, days: int, notes: np.ndarray | None = None, held: Held | None = None
) -> list[str]:
    """One sentence a pair; `days` a period; `notes` (pairs,) text is put at the end where not empty; `held`: what kept
    orders back, default nothing."""
    parts = sums(decision, shelf)
    count = len(decision.order)
    lead = (terms.leads * terms.lead_share).sum(axis=1) * days
    # what outlives its shelf life serves no later day
    spoils = terms.shelf_life < terms.review
    window, named = np.where(spoils, terms.shelf_life, terms.review) * days, np.where(spoils, "shelf life", "review")
    held = held or Held(np.ones(count, bool), decision.order, np.full(count, "", dtype=object))
    notes = np.full(count, "", dtype=object) if notes is None else notes
    columns = (
        parts.demand, parts.lost, parts.spread, parts.lead, parts.target + parts.cycle, parts.cycle, parts.on_hand, parts.on_order,
        parts.need, held.asked, lead, window, named, decision.lot, terms.minimum, terms.maximum, held.opened, notes,
        held.cut, decision.order, terms.service, decision.ratio, terms.policy,
    )  # fmt: skip
    # plain numbers are written three times as fast as numpy's
    return [_sentence(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def _sentence(
    demand: float, lost: float, spread: float, lead_spread: float, up_to: float, cycle: float, on_hand: float, on_order: float,
    need: float, asked: float, lead: float, window: float, named: str, pack: float, minimum: float, maximum: float, may: bool, note: str,
    cut: str, order: float, service: float, ratio: float, policy: int,
) -> str:  # fmt: skip
    before = f" - lost before arrival {lost:.1f}" if lost > 0 else ""
    after = f" + fixed-cost cycle {cycle:.1f}" if cycle > 0 else ""
    level = f"; at least a service level of {service:.2%}" if service > 0 else ""
    level += f"; {POLICIES[policy]}: critical ratio {ratio:.2%}" if policy else ""
    ending = _ending(need, asked, may, pack, minimum, maximum, service > 0 or ratio > 0) + (
        f", cut by the {cut} = {order:g}" if cut else ""
    )
    return (
        f"expected demand {demand:.1f} over {lead + window:g} days (lead {lead:g} + {named} {window:g}){before}"
        f" + safety {spread + lead_spread:.1f} (demand spread {spread:.1f}, lead-time spread {lead_spread:.1f}{level}){after}"
        f" = order up to {up_to:.1f}; on hand {on_hand:.1f}, on order {on_order:.1f} -> {need:.1f}, {ending}{'; ' if note else ''}{note}"
    )


def _ending(need: float, order: float, may: bool, pack: float, minimum: float, maximum: float, anyhow: bool) -> str:
    if need <= 0:
        return f"nothing to order = {order:g}"
    if not may:
        return f"held until an order goes out = {order:g}"
    least = f", at least {minimum:g}" if minimum > 0 else ""
    most = f", at most {maximum:g}" if maximum < np.inf else ""
    if order <= 0:
        return f"too little to be worth an order (packs of {pack:g}{least}{most}) = {order:g}"
    return f"{_packed(need, order, pack, anyhow)}{least}{most} = {order:g}"


def _packed(need: float, order: float, pack: float, anyhow: bool) -> str:
    """How whole packs were chosen: the cheaper number of the two around the need, the higher one where a service level or a named
    policy asks for it `anyhow`."""
    if abs(order - need) < _TENTH or abs(order - need) >= pack + _TENTH:  # the need itself, or a least or most that binds
        return f"in packs of {pack:g}"
    if anyhow:
        return f"rounded up to packs of {pack:g}"
    low = order if order < need else order - pack
    return f"the cheaper of {max(low, 0.0):g} and {max(low, 0.0) + pack:g} in packs of {pack:g}"
