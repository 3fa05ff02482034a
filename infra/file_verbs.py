"""The verbs of a user's own files: a file of history in, a file of decisions out, nothing of the installation touched."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from infra.console import console, progress, show, tell
from infra.options import Day, History, Json, Out, day_of, levels_of

Horizon = Annotated[int, typer.Option(help="Periods ahead: days, or weeks for weekly data.")]
Future = Annotated[Path | None, typer.Option(help="Known-future columns by store_id, product_id, ds.")]
Items = Annotated[Path | None, typer.Option(help="Static attributes by product_id and/or store_id.")]


def forecast(
    history: History,
    horizon: Horizon,
    out: Out,
    future: Future = None,
    items: Items = None,
    origin: Day = None,
    quantiles: str = "0.1,0.5,0.9",
    levels: Annotated[str | None, typer.Option(help="Sums to forecast too: total, store_id, store_id+category, ...")] = None,
    levels_out: Annotated[Path | None, typer.Option(help="File to write them to.")] = None,
    reconcile: Annotated[bool, typer.Option("--reconcile", help="Let forecasts of these sums move those of the series.")] = False,
    overrides: Annotated[
        Path | None, typer.Option(help="A planner's changes: store_id, product_id, since, until, units or factor, who, why.")
    ] = None,
    explain: Annotated[Path | None, typer.Option(help="A file of what forecasts are made of, before --reconcile and --overrides.")] = None,
) -> None:
    """Forecast each series: mean and quantiles for every step ahead."""
    from training.demand.forecast import forecast_file

    with progress() as say:
        written = forecast_file(
            history, horizon, out, future=future, items=items, origin=origin, quantiles=levels_of(quantiles), levels=levels,
            levels_out=levels_out, reconcile=reconcile, overrides=overrides, explain=explain, progress=say, tell=tell,
        )  # fmt: skip
    console.print(f"{len(written):,} rows in {out}")
    for path, of in ((levels_out, "their sums"), (explain, "their contributions by driver")):
        if path is not None:
            console.print(f"{of} in {path}")


def what_if(
    history: History,
    horizon: Horizon,
    out: Out,
    change: Annotated[
        list[str], typer.Option(help="column=value (price=1: a price of 1), or with a sign and % of what was planned (price=-10%); repeat.")
    ],
    where: Annotated[str | None, typer.Option(help="Only these series: a filter such as \"category == 'dairy'\".")] = None,
    since: Day = None,
    until: Day = None,
    future: Future = None,
    items: Items = None,
    origin: Day = None,
) -> None:
    """Forecast with another price, promotion or plan beside the forecast as it is, with the elasticity that this implies."""
    from training.demand.what_if import change_of, what_if_file

    changes = [change_of(text) for text in change]
    with progress() as say:
        written = what_if_file(
            history, horizon, changes, out, where=where, since=since, until=until, future=future, items=items, origin=origin, progress=say
        )
    console.print(f"{len(written):,} rows in {out}; units {written['units'].sum():,.1f}, with the change {written['units_if'].sum():,.1f}")


def value_added(
    forecasts: Annotated[Path, typer.Option(help="What `forecast --overrides` wrote.")], history: History, out: Out, as_json: Json = False
) -> None:
    """Say whether a planner's overrides made the forecasts better, now that the sales are known."""
    from training.demand.overrides import value_added_file

    found = value_added_file(forecasts, history, out)
    if found.empty:
        tell("No overridden row has known sales of a day in stock in this history: its days may lie ahead, or its ids differ.")
    show(found.to_dict("records"), as_json)


def order(
    history: History,
    stock: Annotated[Path, typer.Option(help="on_hand, and deliveries in transit, by pair.")],
    out: Out,
    items: Annotated[Path | None, typer.Option(help="Prices, costs, lead times, packs by product_id and/or store_id.")] = None,
    as_of: Day = None,
    rules: Annotated[Path | None, typer.Option(help="TOML: budget, capacity, transfers, rules by segment and item.")] = None,
    transfers: Annotated[Path | None, typer.Option(help="File for what to move between stores first, by the rules' [transfer].")] = None,
) -> None:
    """Say what to order today, ranked by money at risk, each line with its arithmetic."""
    from training.stock.plan import order_file

    rows = order_file(history, stock, items, day_of(as_of, "--as-of"), out, rules, transfers, tell)
    console.print(f"{rows:,} rows in {out}{'' if transfers is None else f', what to move first in {transfers}'}")


def detect(history: History, out: Out, since: Day = None) -> None:
    """Score how strange each series' days are, and say why."""
    from training.anomaly.detect import detect_file

    rows = len(detect_file(history, since, out))
    console.print(f"{rows:,} rows in {out}")


def slow_movers(
    history: History,
    origin: Annotated[str, typer.Option(metavar="YYYY-MM-DD")],
    out: Out,
    items: Annotated[Path | None, typer.Option(help="Attributes, stock and cost by product_id.")] = None,
    horizon: Annotated[int, typer.Option(help="Days.")] = 56,
) -> None:
    """Say how likely each item is to sell nothing in the horizon, and what to do about it."""
    from training.slow_mover.classify import slow_movers_file

    rows = len(slow_movers_file(history, items, origin, horizon, out))
    console.print(f"{rows:,} rows in {out}")


def recommend(
    lines: Annotated[Path, typer.Option(help="customer_id, basket_id, product_id, ds, units.")],
    out: Out,
    k: Annotated[int, typer.Option("--k", help="How many each.")] = 10,
    novel: Annotated[bool, typer.Option("--novel", help="Only products never bought.")] = False,
    baskets: Annotated[Path | None, typer.Option(help="Partial baskets to complete: basket_id, product_id.")] = None,
) -> None:
    """Recommend products to customers, or complete their baskets."""
    from training.recommend.recommend import recommend_file

    rows = recommend_file(lines, k, novel=novel, baskets=baskets, out=out)
    console.print(f"{rows:,} rows in {out}")


#: in the order of the story
VERBS = (forecast, what_if, value_added, order, detect, slow_movers, recommend)
