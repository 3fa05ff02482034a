"""One report: are the champions still looking at the world they learned, were they right, and what does it call for?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from feature_repo.tables import STOCK_FEATURES
from infra.alone import alone
from infra.errors import BadInput, NothingToDo, NotReady, one_line
from infra.lake import Lake
from infra.publish import publish
from infra.registry import CHAMPION, PREVIOUS, Registry
from infra.settings import Settings
from monitoring.accuracy import pooled
from monitoring.drift import FEWEST_ROWS, SILENT, ColumnDrift, compare, prepared, silenced
from monitoring.page import FamilyView, headline, html
from monitoring.policy import Reading, decide
from monitoring.served import served_sentences
from monitoring.service_curve import ORDERING, service_curve
from monitoring.tables import ACCURACY, DRIFT, POLICY
from monitoring.watched import Span, judged, known_span, live_metric, sample, tables_of
from monitoring.windows import Windows, shown, windows
from training.family import Card, family_names, load_card

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Progress = Callable[[int, int, str], None]

#: days of earlier reports that the policy and the trend lines see
_HISTORY_DAYS = 90
_COUNTS = ("n", "drifted", "watched")
#: without the same season to compare with, only twice the distance matters
_OTHER_SEASON = 2.0


@dataclass(frozen=True)
class ReportSummary:
    """What a report ended with: `page` is the HTML file, `headline` its first sentence, `actions` by family."""

    ds: date
    page: Path
    headline: str
    actions: dict[str, str]
    drifted: dict[str, list[str]]
    rows: dict[str, int]


def report(
    settings: Settings, spark: SparkSession | None = None, *, progress: Progress | None = None, cards: Mapping[str, Card] | None = None
) -> ReportSummary:
    """Write the report of the newest business day on the champions of `cards` (of every family when None):
    `<home>/reports/<day>/index.html`, Evidently's pages beside it and its workspace, and the day's rows of DRIFT, ACCURACY
    and POLICY in lake and warehouse. The same day again replaces itself."""
    from infra.spark import session

    say = progress or _silent
    lake, registry = Lake(settings.lake_url), Registry(settings)
    span, champions = known_span(lake), _champions(registry, cards or {name: load_card(name) for name in family_names()})
    folder = settings.reports / span.last.isoformat()
    folder.mkdir(parents=True, exist_ok=True)
    views, steps = [], len(champions) + 2
    for step, (card, row) in enumerate(champions):
        say(step, steps, f"report: {card.name}")
        views.append(_view(settings, lake, card, row, span))
    say(steps - 2, steps, "report: tables")
    rows = _keep(settings, spark or session(settings), span.last, views)
    say(steps - 1, steps, "report: page")
    served = served_sentences(settings.home / "predictions", datetime.now(UTC).date())
    service, away = _service(settings, registry, champions, span.last)
    page = _write(folder / "index.html", html(span.last, views, [*served, *filter(None, [away])], service))
    if len(service):
        _write(folder / "service_curve.csv", service.to_csv(index=False))
    say(steps, steps, "report: done")
    return ReportSummary(
        span.last, page, headline(views), {v.family: v.decision.action for v in views},
        {v.family: [d.column for d in v.drift if d.drifted] for v in views}, rows,
    )  # fmt: skip


def _service(
    settings: Settings, registry: Registry, champions: Sequence[tuple[Card, dict[str, Any]]], day: date
) -> tuple[pd.DataFrame, str]:
    """What more service would cost in stock by the champion that orders, and a sentence where its files are out of reach; neither
    where there is none, or nothing to order."""
    from mlflow.exceptions import MlflowException

    lake = Lake(settings.lake_url)
    ordering = [str(row["aliases"][CHAMPION]) for card, row in champions if card.name == ORDERING]
    days = lake.days(STOCK_FEATURES, until=day, newest=1)
    if not ordering or not days:
        return pd.DataFrame(), ""
    try:
        champion = registry.folder(ORDERING, ordering[0])
    except (NotReady, BadInput, MlflowException, OSError) as error:
        return pd.DataFrame(), f"What service would cost is not told: {ORDERING} version {ordering[0]} is out of reach ({one_line(error)})."
    return service_curve(lake, champion, days[0], settings.seed), ""


def family_drift(lake: Lake, card: Card, span: Span, seed: int) -> tuple[Windows | None, list[ColumnDrift], pd.DataFrame, pd.DataFrame]:
    """Windows, verdicts and the two prepared samples of a family's drift columns in the gold tables that hold them."""
    compared = windows(span.last, span.first)
    sources = [(table, names) for table, names in tables_of(card.drift_columns) if lake.exists(table)]
    if compared is None or not sources:
        return compared, [], pd.DataFrame(), pd.DataFrame()
    pairs = [[sample(lake, table, names, window, seed) for window in (compared.reference, compared.current)] for table, names in sources]
    silent = [silenced(name, len(now)) for before, now in pairs if len(before) >= FEWEST_ROWS > len(now) for name in now.columns]
    # a table that tells of too little says nothing of the others
    told = [pair for pair in pairs if min(map(len, pair)) >= FEWEST_ROWS]
    if not told:
        return compared, silent, pd.DataFrame(), pd.DataFrame()
    even = min(len(frame) for pair in told for frame in pair)
    before, now = (pd.concat([pair[side].head(even) for pair in told], axis=1) for side in (0, 1))
    reference, current = prepared(before, now, list(now.columns))
    verdicts = compare(reference, current, seed=seed, practical=1.0 if compared.same_season else _OTHER_SEASON)
    return compared, [*verdicts, *silent], reference, current


def _champions(registry: Registry, cards: Mapping[str, Card]) -> list[tuple[Card, dict[str, Any]]]:
    found = {row["family"]: row for row in registry.models() if CHAMPION in row["aliases"]}
    served = [(card, found[name]) for name, card in sorted(cards.items()) if name in found]
    if not served:
        raise NothingToDo("no family has a champion to report on: run `shelfcast train` and `shelfcast promote` first.")
    return served


def _view(settings: Settings, lake: Lake, card: Card, row: dict[str, Any], span: Span) -> FamilyView:
    from monitoring.evidently_reports import drift_snapshot, keep_run, save_page

    compared, verdicts, reference, current = family_drift(lake, card, span, settings.seed)
    page = ""
    if compared_too := [verdict for verdict in verdicts if verdict.method != SILENT]:
        snapshot = drift_snapshot(card.name, span.last, reference, current, compared_too)
        page = save_page(snapshot, settings.reports / span.last.isoformat() / f"{card.name}.html").name
        keep_run(settings.home / "evidently", card.name, span.last, snapshot)
    accuracy, waiting = judged(lake, card.name, span)
    version, numbers = str(row["aliases"][CHAMPION]), dict(row["numbers"])
    reading = _reading(span.last, version, live_metric(card), numbers, accuracy, verdicts)
    past = _past(lake, card.name, span.last)
    readings = [*past_readings(past), reading]
    decision = decide(readings, list(zip(past["ds"], past["action"], strict=True)), can_roll_back=PREVIOUS in row["aliases"])
    trend = pd.DataFrame([(r.ds, r.value) for r in readings if r.value is not None], columns=["ds", "value"])
    return FamilyView(card.name, reading, decision, card.metric, compared, verdicts, accuracy, waiting, numbers, trend, page)


def _reading(
    ds: date, version: str, metric: str | None, numbers: dict[str, float], accuracy: pd.DataFrame, verdicts: Sequence[ColumnDrift]
) -> Reading:
    value, n = _live(accuracy, metric, version) if metric else (None, 0)
    expected = numbers.get(metric) if metric else None
    return Reading(ds, version, value, expected, n, sum(d.drifted for d in verdicts), len(verdicts))


def _live(accuracy: pd.DataFrame, metric: str, version: str) -> tuple[float | None, int]:
    """The version's live metric over everything, and how many actuals it is of."""
    found = pooled(accuracy[(accuracy["segment"] == "all") & (accuracy["metric"] == metric) & (accuracy["model_version"] == version)])
    return (float(found["value"].item()), int(found["n"].item())) if len(found) else (None, 0)


def past_readings(policy: pd.DataFrame) -> list[Reading]:
    """What earlier reports saw, as their POLICY rows tell it; rows of a release that did not keep it tell nothing."""
    rows: list[dict[Any, Any]] = policy[policy["model_version"].notna()].sort_values("ds").to_dict("records")
    return [
        Reading(row["ds"], row["model_version"], _known(row["value"]), _known(row["expected"]), *(int(row[name]) for name in _COUNTS))
        for row in rows
    ]


def _known(value: float) -> float | None:
    return None if pd.isna(value) else float(value)


def _past(lake: Lake, family: str, ds: date) -> pd.DataFrame:
    """The family's POLICY rows of the reports before."""
    if not lake.holds(POLICY):
        return pd.DataFrame(columns=POLICY.names)
    since = ds - timedelta(days=_HISTORY_DAYS)
    return lake.read_pandas(POLICY, filters=[("family", "=", family), ("ds", ">=", since), ("ds", "<", ds)])


def _keep(settings: Settings, spark: SparkSession, ds: date, views: Sequence[FamilyView]) -> dict[str, int]:
    """The day's rows into the lake, and from there into the warehouse; returns rows by table."""
    lake = Lake(settings.lake_url)
    run = {"ds": ds, "run_at": datetime.now(UTC).replace(tzinfo=None)}
    frames = {DRIFT: _drift_rows(views), ACCURACY: _accuracy_rows(views), POLICY: _policy_rows(views)}
    for table, frame in frames.items():
        with alone(settings, table.name, wait=True):  # the lake's upkeep may be at it
            lake.replace_days(spark.createDataFrame(frame.assign(**run)[table.names], table.spark_schema()), table, [ds])
            publish(settings, table)
    return {table.name: len(frame) for table, frame in frames.items()}


def _drift_rows(views: Sequence[FamilyView]) -> pd.DataFrame:
    rows = [
        (v.family, d.column, d.method, d.statistic, d.threshold, d.drifted, shown(v.windows.reference), shown(v.windows.current), d.n)
        for v in views if v.windows for d in v.drift
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=[name for name in DRIFT.names if name not in ("ds", "run_at")])


def _accuracy_rows(views: Sequence[FamilyView]) -> pd.DataFrame:
    names = [name for name in ACCURACY.names if name not in ("ds", "run_at")]
    frames = [view.accuracy.assign(family=view.family) for view in views if len(view.accuracy)]
    return pd.concat(frames, ignore_index=True)[names] if frames else pd.DataFrame(columns=names)


def _policy_rows(views: Sequence[FamilyView]) -> pd.DataFrame:
    rows = [
        (v.family, v.decision.action, v.decision.why, r.version, r.value, r.expected, r.n, r.drifted, r.watched)
        for v in views for r in [v.reading]
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=[name for name in POLICY.names if name not in ("ds", "run_at")])


def _write(path: Path, text: str) -> Path:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
    return path


def _silent(done: int, total: int, label: str) -> None:
    return None
