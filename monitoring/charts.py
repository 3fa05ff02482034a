"""Small charts as inline SVG: no script, no network, readable in print."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

_WIDTH, _ROW, _LABEL = 640, 22, 230
_LINE_HEIGHT, _PAD = 150, 34


def bars(rows: Sequence[tuple[str, float, float]]) -> str:
    """A bar a row of (label, value, limit), scaled so that every limit is the same line; over it the bar is red."""
    if not rows:
        return ""
    reach = 1.15 * max(2.0, *(value / limit for _, value, limit in rows))
    unit = (_WIDTH - _LABEL - 60) / reach
    parts = []
    for at, (label, value, limit) in enumerate(rows):
        y, length = at * _ROW + 4, max(value / limit * unit, 1.0)
        kind = "bad" if value >= limit else "good"
        parts.append(
            f'<text x="{_LABEL - 8}" y="{y + 12}" text-anchor="end">{escape(label)}</text>'
            f'<rect class="{kind}" x="{_LABEL}" y="{y}" width="{length:.1f}" height="14" rx="2"/>'
            f'<text x="{_LABEL + length + 6:.1f}" y="{y + 12}">{value:.3g}</text>'
        )
    height, limit_x = len(rows) * _ROW + 8, _LABEL + unit
    parts.append(f'<line class="limit" x1="{limit_x:.1f}" x2="{limit_x:.1f}" y1="0" y2="{height}"/>')
    return _svg(_WIDTH, height, "".join(parts), "distance of each column over its limit")


def lines(title: str, ticks: Sequence[str], series: Sequence[tuple[str, Sequence[float]]]) -> str:
    """Lines over the same ticks, the axis from 0 (or the lowest value below it); each line is named at its end."""
    values = [value for _, line in series for value in line]
    if not values or not ticks:
        return ""
    low, high = min(0.0, *values), max(*values, 1e-9)
    step = (_WIDTH - 2 * _PAD - 90) / max(len(ticks) - 1, 1)

    def point(at: int, value: float) -> str:
        return f"{_PAD + at * step:.1f},{_LINE_HEIGHT - 24 - (value - low) / (high - low) * (_LINE_HEIGHT - 50):.1f}"

    parts = [f'<text class="title" x="{_PAD}" y="14">{escape(title)}</text>']
    for number, (name, line) in enumerate(series):
        path = " ".join(point(at, value) for at, value in enumerate(line))
        x, y = point(len(line) - 1, line[-1]).split(",")
        dots = "".join(f'<circle class="s{number}" cx="{p.split(",")[0]}" cy="{p.split(",")[1]}" r="2.5"/>' for p in path.split())
        parts.append(f'<polyline class="s{number}" points="{path}"/>{dots}')
        parts.append(f'<text class="s{number}" x="{float(x) + 7:.1f}" y="{float(y) + 4:.1f}">{escape(name)} {line[-1]:.3g}</text>')
    every = max(len(ticks) // 8, 1)
    for at in range(0, len(ticks), every):
        parts.append(
            f'<text class="tick" x="{_PAD + at * step:.1f}" y="{_LINE_HEIGHT - 6}" text-anchor="middle">{escape(ticks[at])}</text>'
        )
    return _svg(_WIDTH, _LINE_HEIGHT, "".join(parts), title)


def _svg(width: int, height: int, inner: str, told: str) -> str:
    return f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="{escape(told)}">{inner}</svg>'
