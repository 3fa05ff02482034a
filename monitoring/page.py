"""The report as one self-contained HTML page: what is well and what is not in words first, then the figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from html import escape

import pandas as pd

from monitoring.accuracy import pooled
from monitoring.charts import bars, curves, lines
from monitoring.drift import ColumnDrift
from monitoring.policy import ALERT, NOTHING, RETRAIN, ROLLBACK, Decision, Reading
from monitoring.windows import Windows, shown
from training.tables import QUANTILES

_VERDICT = {NOTHING: "in order", ALERT: "look at it", RETRAIN: "train again", ROLLBACK: "roll back"}
_STEP = {
    RETRAIN: "Next: <code>shelfcast train {family}</code>, then compare and promote.",
    ROLLBACK: "Next: <code>shelfcast rollback {family} --who YOU --why REASON</code>.",
}
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:62em;margin:2em auto;padding:0 1em;color:#1c2733;background:#fff}
h1{font-size:1.5em;margin:.2em 0}h2{margin-top:2em;border-top:1px solid #dde3ea;padding-top:1em;font-size:1.2em}
.lead{font-size:1.15em}table{border-collapse:collapse;margin:.8em 0}td,th{padding:.3em .9em .3em 0;text-align:left;vertical-align:top}
th{color:#5b6b7b;font-weight:600;border-bottom:1px solid #dde3ea}td.n{text-align:right;font-variant-numeric:tabular-nums}
.chip{border-radius:1em;padding:.1em .7em;white-space:nowrap;font-size:.9em}.nothing{background:#dff3e4;color:#14532d}
.alert{background:#fdf0cd;color:#713f12}.retrain,.rollback{background:#fbdcdc;color:#7f1d1d}
svg{display:block;margin:.8em 0;max-width:100%;height:auto}svg text{font-size:12px;fill:#34414e}svg .title{font-weight:600}
.good{fill:#7fb495}.bad{fill:#d9534f}.limit{stroke:#1c2733;stroke-dasharray:4 3}polyline{fill:none;stroke-width:2}
polyline.s0{stroke:#2563a8}polyline.s1{stroke:#b4690e}polyline.s2{stroke:#7a8794;stroke-dasharray:4 3}
circle.s0{fill:#2563a8}circle.s1{fill:#b4690e}circle.s2{fill:#7a8794}.small{color:#5b6b7b;font-size:.9em}
"""
#: the service level by which the stock of groups of any size is compared
_USUAL = 0.95


@dataclass(frozen=True)
class FamilyView:
    """What the page says of a family; `trend` has `ds, value` of its live metric, `page` links Evidently's report."""

    family: str
    reading: Reading
    decision: Decision
    metric: str
    windows: Windows | None = None
    drift: Sequence[ColumnDrift] = ()
    accuracy: pd.DataFrame = field(default_factory=pd.DataFrame)
    waiting: str = ""
    numbers: dict[str, float] = field(default_factory=dict)
    trend: pd.DataFrame = field(default_factory=pd.DataFrame)
    page: str = ""


def html(ds: date, views: Sequence[FamilyView], served: Sequence[str], service: pd.DataFrame | None = None) -> str:
    """The whole page; `served` are sentences about the online service's predictions, `service` the rows of
    `monitoring.service_curve` where there is a champion that orders."""
    rows = "".join(
        f'<tr><td><a href="#{view.family}">{escape(_name(view))}</a></td><td>{escape(view.reading.version)}</td><td>{_chip(view)}</td>'
        f"<td>{_sentence(view)}</td></tr>"
        for view in views
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>Shelfcast report {ds}</title><style>{_STYLE}</style></head><body><p class='small'>Shelfcast, {ds}</p>"
        f"<h1>{escape(headline(views))}</h1><table><tr><th>model</th><th>version</th><th></th><th>what was seen</th></tr>{rows}</table>"
        f"{''.join(f'<p>{escape(said)}</p>' for said in served)}{''.join(_section(view) for view in views)}"
        f"{'' if service is None or service.empty else _service(service)}</body></html>"
    )


def headline(views: Sequence[FamilyView]) -> str:
    """One sentence: is everything well, and if not, what is not."""
    troubled = [_name(view) for view in views if view.decision.action != NOTHING]
    if not troubled:
        return f"All {len(views)} models are in order." if len(views) != 1 else "The model is in order."
    many = len(troubled) > 1
    return f"{len(troubled)} of {len(views)} models need{'' if many else 's'} a look: {', '.join(troubled)}."


def _section(view: FamilyView) -> str:
    parts = [f'<h2 id="{view.family}">{escape(_name(view).capitalize())} {_chip(view)}</h2><p class="lead">{_sentence(view)}</p>']
    parts.append(f"<p>{_STEP[view.decision.action].format(family=view.family)}</p>" if view.decision.action in _STEP else "")
    parts += [_drift_part(view), _accuracy_part(view)]
    return "".join(parts)


def _service(points: pd.DataFrame) -> str:
    """What a service level costs in stock: the curves, and the money of all pairs."""
    series = []
    for name, part in points.groupby("group", sort=False):
        usual = float(part.loc[part["service_level"] == _USUAL, "stock_value"].iloc[0])
        series.append((str(name), list(100 * part["stock_value"] / max(usual, 1e-9)), list(100 * part["fill_rate"])))
    chart = curves("demand served from stock, %", f"stock on the shelves, % of what a service level of {_USUAL:.0%} takes", series)
    rows = "".join(
        f'<tr><td class="n">{level:.1%}</td><td class="n">{value:,.2f}</td><td class="n">{served:.2%}</td></tr>'
        for _, level, value, served in points[points["group"] == "all"].itertuples(index=False)
    )
    head = "<tr><th>no stockout in a cycle</th><th>stock, money at unit cost</th><th>demand served</th></tr>"
    return f'<h2 id="service">What service costs in stock</h2>{chart}<table>{head}{rows}</table>'


def _drift_part(view: FamilyView) -> str:
    if view.windows is None:
        return "<p>There are not yet eight weeks of history to compare.</p>"
    if not view.drift:
        return "<p>No column is watched for drift, or too few values are known in both windows to compare.</p>"
    season = "the same weeks a year earlier" if view.windows.same_season else (
        "the four weeks before (the history is younger than a year, so a change of season shows as drift)"
    )  # fmt: skip
    ranked = sorted(view.drift, key=lambda d: -d.statistic / d.threshold)
    drifted = [d.column for d in ranked if d.drifted]
    said = f"{', '.join(drifted)} drifted" if drifted else f"none of {len(ranked)} columns drifted"
    link = f' <a href="{escape(view.page)}">Evidently\'s report</a>.' if view.page else ""
    compared = f"{shown(view.windows.current)} against {season}, {shown(view.windows.reference)}"
    chart = bars([(d.column, d.statistic, d.threshold) for d in ranked[:12]])
    note = "Bars: distance of each column; the dashed line is its limit, which chance does not reach at this sample size."
    return f"<p>{escape(compared)}: {escape(said)}.{link}</p>{chart}<p class='small'>{note} Rows a sample: {max(d.n for d in ranked)}.</p>"


def _accuracy_part(view: FamilyView) -> str:
    judged = _judged_table(view)
    if view.accuracy.empty:
        return f"<p>{escape(view.waiting.capitalize())}</p>{judged}"
    found = pooled(view.accuracy)
    rows = "".join(
        f'<tr><td>{escape(str(segment))}</td><td>{escape(str(metric))}</td><td class="n">{value:.4g}</td><td class="n">{n}</td></tr>'
        for segment, metric, value, n in found.itertuples(index=False)
        if not str(segment).startswith("horizon") and not str(metric).startswith("coverage")
    )
    table = f"<table><tr><th>segment</th><th>metric</th><th>live value</th><th>actuals</th></tr>{rows}</table>"
    return table + _by_horizon(found) + _calibration(found) + _trend(view) + judged


def _by_horizon(accuracy: pd.DataFrame) -> str:
    part = accuracy[accuracy["segment"].str.startswith("horizon") & accuracy["metric"].isin(["wape", "wql"])]
    wide = part.assign(horizon=part["segment"].str.removeprefix("horizon ").astype(int)).pivot_table(
        index="horizon", columns="metric", values="value"
    )
    return (
        lines("error by days ahead", [str(h) for h in wide.index], [(str(m), list(wide[m])) for m in wide.columns]) if len(wide) > 1 else ""
    )


def _calibration(accuracy: pd.DataFrame) -> str:
    found = accuracy[accuracy["segment"] == "all"].set_index("metric")["value"]
    names = [name for name in QUANTILES if f"coverage_{name}" in found.index]
    if not names:
        return ""
    series = [("came true", [float(found[f"coverage_{n}"]) for n in names]), ("", []), ("promised", [QUANTILES[n] for n in names])]
    return lines("how often the actual stayed below each quantile", names, [s for s in series if s[1]])


def _trend(view: FamilyView) -> str:
    if len(view.trend) < 2:
        return ""
    days = [pd.Timestamp(day).strftime("%m-%d") for day in view.trend["ds"]]
    return lines(f"live {view.metric} by report", days, [(view.metric, list(view.trend["value"]))])


def _judged_table(view: FamilyView) -> str:
    own = {k: v for k, v in view.numbers.items() if not k.startswith("baseline_")}
    if not own:
        return ""
    rows = "".join(
        f'<tr><td>{escape(k)}</td><td class="n">{v:.4g}</td><td class="n">{_number(view.numbers.get(f"baseline_{k}"))}</td></tr>'
        for k, v in own.items()
    )
    return f"<p class='small'>When it was trained:</p><table><tr><th>metric</th><th>model</th><th>baseline</th></tr>{rows}</table>"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _chip(view: FamilyView) -> str:
    return f'<span class="chip {view.decision.action}">{_VERDICT[view.decision.action]}</span>'


def _sentence(view: FamilyView) -> str:
    return escape(view.decision.why[:1].upper() + view.decision.why[1:])


def _name(view: FamilyView) -> str:
    return view.family.replace("_", " ")
