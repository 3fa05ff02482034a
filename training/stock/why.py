"""The arithmetic of an order as one sentence whose printed numbers add up: demand and safety to the order-up-to level,
less what is there and on its way, to the units ordered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from training.stock.named import MARGINAL, POLICIES
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
        name: tenths(value)
        for name, value in (
            ("demand", decision.demand), ("lost", decision.lost), ("target", decision.target), ("cycle", decision.cycle),
            ("on_hand", shelf.on_hand), ("on_order", decision.on_order),
        )
    }  # fmt: skip
    safety = tenths(tenth["target"] - tenth["demand"] + tenth["lost"])
    variance = np.maximum(decision.demand_spread + decision.lead_spread, 1e-12)
    lead = tenths(safety * decision.lead_spread / variance)
    need = tenths(tenth["target"] + tenth["cycle"] - tenth["on_hand"] - tenth["on_order"])
    return Sums(spread=tenths(safety - lead), lead=lead, need=need, **tenth)


def tenths(units: np.ndarray) -> np.ndarray:
    """Units as they are printed: to one decimal, and 0 is not below 0."""
    return np.round(units, 1) + 0.0


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
    held = held or Held(np.ones(count, bool), decision.order, np.full(count, "", dtype=object))
    notes = np.full(count, "", dtype=object) if notes is None else notes
    lead = (terms.leads * terms.lead_share).sum(axis=1) * days
    # what outlives its shelf life serves no later day
    spoils = terms.shelf_life < terms.review
    window = np.where(spoils, terms.shelf_life, terms.review) * days
    pieces = (
        _said("expected demand {:.1f}", parts.demand),
        _said(" over {:g} days", lead + window),
        _said(" (lead {:g}", lead),
        _said(" + review {:g})", window, where=~spoils),
        _said(" + shelf life {:g})", window, where=spoils),
        _said(" - lost before arrival {:.1f}", parts.lost, where=parts.lost > 0),
        _said(" + safety {:.1f}", tenths(parts.spread + parts.lead)),
        _said(" (demand spread {:.1f}", parts.spread),
        _said(", lead-time spread {:.1f}", parts.lead),
        _said("; at least a service level of {:.2%}", terms.service, where=terms.service > 0),
        *(
            _said(f"; {POLICIES[number]}: critical ratio {{:.2%}}", decision.ratio, where=terms.policy == number)
            for number in np.unique(terms.policy[terms.policy != MARGINAL])
        ),
        _said(") + fixed-cost cycle {:.1f}", parts.cycle, where=parts.cycle > 0),
        _words(")", parts.cycle <= 0),
        _said(" = order up to {:.1f}", tenths(parts.target + parts.cycle)),
        _said("; on hand {:.1f}", parts.on_hand),
        _said(", on order {:.1f}", parts.on_order),
        _said(" -> {:.1f}, ", parts.need),
        *_endings(parts.need, decision, terms, held),
        _said(", cut by the {}", held.cut, where=held.cut != ""),
        _said(" = {:g}", decision.order, where=held.cut != ""),
        _said("; {}", notes, where=notes != ""),
    )
    return list(map("".join, zip(*pieces, strict=True)))


def _endings(need: np.ndarray, decision: Decision, terms: Terms, held: Held) -> Iterator[list[str]]:
    """How the need became the units asked for. Whole packs are the cheaper number of the two around the need, the higher one where a
    service level or a named policy asks for it."""
    asked, lot = held.asked, decision.lot
    none = need <= 0
    shut = ~none & ~held.opened
    little = ~none & ~shut & (asked <= 0)
    packed = ~none & ~shut & ~little
    gap = np.abs(asked - need)
    even = packed & ((gap < _TENTH) | (gap >= lot + _TENTH))  # the need itself, or a least or most that binds
    above = packed & ~even & ((terms.service > 0) | (decision.ratio > 0))
    cheaper = packed & ~even & ~above
    low = np.maximum(np.where(asked < need, asked, asked - lot), 0.0)
    yield _words("nothing to order", none)
    yield _words("held until an order goes out", shut)
    yield _words("too little to be worth an order (", little)
    yield _words("rounded up to ", above)
    yield _said("the cheaper of {:g}", low, where=cheaper)
    yield _said(" and {:g} ", low + lot, where=cheaper)
    yield _words("in ", even | cheaper)
    yield _said("packs of {:g}", lot, where=packed | little)
    yield _said(", at least {:g}", terms.minimum, where=(packed | little) & (terms.minimum > 0))
    yield _said(", at most {:g}", terms.maximum, where=(packed | little) & (terms.maximum < np.inf))
    yield _words(")", little)
    yield _said(" = {:g}", asked)


def _words(text: str, where: np.ndarray) -> list[str]:
    return np.where(where, text, "").tolist()


def _said(pattern: str, values: np.ndarray, where: np.ndarray | None = None) -> list[str]:
    """The pattern filled with the value of each pair, '' where it does not hold. Each distinct value is written once: a million
    sentences repeat themselves, and writing them number by number takes longer than the arithmetic."""
    place, distinct = pd.factorize(values if where is None else values[where])
    texts = np.array([pattern.format(value) for value in distinct.tolist()], dtype=object)
    if where is None:
        return texts[place].tolist()
    out = np.full(len(values), "", dtype=object)
    if len(place):
        out[where] = texts[place]
    return out.tolist()
