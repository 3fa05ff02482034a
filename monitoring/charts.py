"""Small charts as inline SVG: no script, no network, readable in print."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

_WIDTH, _ROW, _LABEL = 640, 22, 230
_LINE_HEIGHT, _CURVE_HEIGHT, _PAD = 150, 260, 34


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


def curves(title: str, across: str, series: Sequence[tuple[str, Sequence[float], Sequence[float]]]) -> str:
    """Lines of (name, x, y), both axes from their lowest to their highest value, each named at its end; `across` says what x is."""
    xs, ys = [x for _, line, _ in series for x in line], [y for _, _, line in series for y in line]
    if not xs:
        return ""
    left, low = min(xs), min(ys)
    right, high = max(*xs, left + 1e-9), max(*ys, low + 1e-9)

    def point(x: float, y: float) -> tuple[float, float]:
        return (
            _PAD + 20 + (x - left) / (right - left) * (_WIDTH - 2 * _PAD - 170),
            _CURVE_HEIGHT - 34 - (y - low) / (high - low) * (_CURVE_HEIGHT - 64),
        )

    parts = [f'<text class="title" x="{_PAD}" y="14">{escape(title)}</text>']
    for number, (name, x_values, y_values) in enumerate(series):
        places = [point(x, y) for x, y in zip(x_values, y_values, strict=True)]
        path, (x, y) = " ".join(f"{x:.1f},{y:.1f}" for x, y in places), places[-1]
        style, named = f"s{min(number, 2)}", f'x="{x + 7:.1f}" y="{y + 4 + 13 * number:.1f}"'
        parts.append(f'<polyline class="{style}" points="{path}"/><text class="{style}" {named}>{escape(name)}</text>')
    for value in (low, high):
        parts.append(f'<text class="tick" x="{_PAD + 14}" y="{point(left, value)[1] + 4:.1f}" text-anchor="end">{value:.3g}</text>')
    for value in (left, right):
        parts.append(f'<text class="tick" x="{point(value, low)[0]:.1f}" y="{_CURVE_HEIGHT - 20}" text-anchor="middle">{value:,.0f}</text>')
    parts.append(f'<text class="tick" x="{_PAD + 20}" y="{_CURVE_HEIGHT - 4}">{escape(across)}</text>')
    return _svg(_WIDTH, _CURVE_HEIGHT, "".join(parts), title)


def _svg(width: int, height: int, inner: str, told: str) -> str:
    return f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="{escape(told)}">{inner}</svg>'
