"""The words: what kind of anomaly a day is, and one sentence with the numbers."""

from __future__ import annotations

import numpy as np

from training.anomaly.channels import Judged
from training.anomaly.surprise import interval

#: days below this score get no sentence of their own
WORTH_WORDS = 2.0
PLAIN = "as expected"

#: channel -> kind; an unusually small line is a matter of the feed
KIND_OF = {
    "spike": "spike", "drop": "drop", "shift_up": "level_shift", "shift_down": "level_shift",
    "price": "price", "returns": "returns", "feed": "feed", "line_size": "spike", "lines": "spike",
}  # fmt: skip


def kinds(judged: Judged, first: int) -> np.ndarray:
    """(n, days) name of the kind of the strangest channel of each cell from column `first` on."""
    strangest, channels = _strangest(judged, first), list(judged.powers)
    found = np.array([KIND_OF[name] for name in channels], dtype=object)[strangest]
    if "line_size" in channels:
        # more lines for as many units: the till told of a sale more often than it was made
        units, lines = judged.panel.units[:, first:], judged.panel.known["lines"][:, first : judged.panel.units.shape[1]]
        small = np.nan_to_num(units) < np.nan_to_num(lines) * np.exp(judged.usual["line_size"][:, first:])
        found[(strangest == channels.index("line_size")) & small] = "feed"
    return found


def _strangest(judged: Judged, first: int) -> np.ndarray:
    return np.stack([np.abs(p[:, first:]) for p in judged.powers.values()]).argmax(axis=0)


def reasons(judged: Judged, first: int, kind: np.ndarray) -> np.ndarray:
    """A sentence a cell, flat; cells below WORTH_WORDS say only that they are as expected."""
    score = judged.score[:, first:]
    out = np.full(score.size, PLAIN, dtype=object)
    channels = np.array(list(judged.powers))[_strangest(judged, first)]
    i, t = np.nonzero(score >= WORTH_WORDS)
    if not len(i):
        return out
    low, high = interval(judged.expected.mean[i, t + first], judged.expected.spread[i, t + first])
    for row, (series, day) in enumerate(zip(i, t, strict=True)):
        said = _SAYS[channels[series, day]](judged, series, day + first, low[row], high[row])
        out[series * score.shape[1] + day] = f"{said}: {_odds(score[series, day])} {_periods(judged)}"
    return out


def _periods(judged: Judged) -> str:
    return "days" if judged.panel.step == 1 else "weeks"


def _odds(score: float) -> str:
    if score > 6:
        return "rarer than 1 in 1,000,000"
    times = 10.0 ** float(score)
    digits = max(len(str(int(times))) - 2, 0)
    return f"1 in {round(times / 10**digits) * 10**digits:,.0f}"


def _sold(judged: Judged, i: int, t: int, low: float, high: float) -> str:
    moved = judged.expected.factor[i, t]
    shared = f", related series moved x{moved:.2g}" if abs(np.log(max(moved, 1e-6))) > 0.2 else ""
    return f"sold {judged.panel.units[i, t]:g}, expected {judged.expected.mean[i, t]:.2g} ({low:.0f}-{high:.0f}{shared})"


def _drop(judged: Judged, i: int, t: int, low: float, high: float) -> str:
    units = judged.panel.units[i, : t + 1]
    run = len(units) - int(np.max(np.nonzero(units != 0)[0], initial=-1)) - 1
    if run < 2:
        return _sold(judged, i, t, low, high)
    due = judged.expected.mean[i, t + 1 - run : t + 1].sum()
    return f"sold nothing for {run} {_periods(judged)} in which {due:.2g} were expected"


def _lines(judged: Judged, i: int, t: int, low: float, high: float) -> str:
    assert judged.of_lines is not None
    due, spread = judged.of_lines.mean[i, t], judged.of_lines.spread[i, t]
    least, most = interval(due, spread)
    return (
        f"{judged.panel.known['lines'][i, t]:g} lines, expected {due:.2g} ({least:.0f}-{most:.0f}), for {judged.panel.units[i, t]:g} units"
    )


def _shift(judged: Judged, i: int, t: int, low: float, high: float) -> str:
    start = max(t - 6, 0)
    sold = np.nansum(judged.panel.units[i, start : t + 1])
    due = judged.expected.weight[i, start : t + 1].sum() * judged.expected.level[i, max(t - 7, 0)]
    return f"sold {sold:g} in {t + 1 - start} {_periods(judged)} against {due:.2g} at the earlier level"


def _ratio(name: str, top: str, bottom: str, words: str):
    def say(judged: Judged, i: int, t: int, low: float, high: float) -> str:
        sides = {"units": judged.panel.units, **judged.panel.known}
        a, b, usual = float(sides[top][i, t]), float(sides[bottom][i, t]), float(np.exp(judged.usual[name][i, t]))
        now = f"{a / b:.3g}" if b > 0 else f"{a:g} {top} without {bottom}"
        return f"{words} {now}, usually {usual:.3g}"

    return say


def _returned(judged: Judged, i: int, t: int, low: float, high: float) -> str:
    returns = judged.panel.known["returns"]
    recent = slice(max(t - 28 // judged.panel.step, 0), t)
    back, sold = np.nansum(returns[i, recent]), np.nansum(judged.panel.units[i, recent])
    when = "day" if judged.panel.step == 1 else "week"
    return (
        f"{returns[i, t]:g} units returned in a {when} that sold {judged.panel.units[i, t]:g}; {back:g} of {sold:g} in the 28 days before"
    )


_SAYS = {
    "spike": _sold, "drop": _drop, "shift_up": _shift, "shift_down": _shift, "returns": _returned, "lines": _lines,
    "price": _ratio("price", "revenue", "units", "revenue a unit"), "line_size": _ratio("line_size", "units", "lines", "units a line"),
    "feed": _ratio("feed", "lines", "baskets", "lines a basket"),
}  # fmt: skip
