"""What will not sell within a horizon, and what to do with it: `shelfcast slow-movers` and the Python function behind it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from feature_repo.panel import frequency
from infra.errors import BadInput
from training.files import check_frame, check_output, day_of, read_frame, require_recent, require_unbroken, write_frame
from training.slow_mover.actions import decide
from training.slow_mover.blend import Blend, examples, fit_blend
from training.slow_mover.features import Ledger, alive, features, ledger

LONGEST_HORIZON = 400

_HISTORY = {
    "required": {"product_id": "text", "ds": "date", "units": "number"},
    "optional": {"store_id": "text", "price": "number", "revenue": "number", "in_stock": "number"},
    "key": ("store_id", "product_id", "ds"), "nonnegative": ("units", "price", "revenue"),
    "between": {"in_stock": (0, 1)},
}  # fmt: skip
_ITEMS = {
    "required": {"product_id": "text"},
    "optional": {"store_id": "text", "category": "text", "on_hand": "number", "unit_cost": "number", "price": "number"},
    "key": ("store_id", "product_id"), "nonnegative": ("on_hand", "unit_cost", "price"),
}  # fmt: skip


def slow_movers(history: pd.DataFrame, items: pd.DataFrame | None, origin: object, horizon: int = 56) -> pd.DataFrame:
    """Rows `[store_id,] product_id, probability, action, why`: the calibrated chance of no sale in the `horizon` days after
    `origin`, most likely first. The unit is the store-product pair when the history has several stores, else the product.

    A unit gets a row when it sold within 365 days up to `origin`, or when `items` names it; rows after `origin` change
    nothing. History: `product_id, ds, units` and where known `store_id, price, revenue, in_stock` (0..1); a day without a row sold
    nothing, and one with `in_stock` 0 says nothing. Days after the last row are not known.
    Items, where known: `store_id, category, on_hand, unit_cost, price`. Raises BadInput."""
    rows = check_frame(history, where="the history", **_HISTORY)  # type: ignore[arg-type]
    named = None if items is None else check_frame(items, where="the items", **_ITEMS)  # type: ignore[arg-type]
    return _classify(rows, named, origin, horizon, "the history")


def slow_movers_file(history: str | Path, items: str | Path | None, origin: object, horizon: int, out: str | Path) -> pd.DataFrame:
    """`slow_movers` from CSV or parquet files to another; the rows that were written."""
    check_output(out, [history, items])
    rows = read_frame(history, what="history", **_HISTORY)  # type: ignore[arg-type]
    named = None if items is None else read_frame(items, what="items", **_ITEMS)  # type: ignore[arg-type]
    found = _classify(rows, named, origin, horizon, f"history file {history}")
    write_frame(found, out)
    return found


def _classify(history: pd.DataFrame, items: pd.DataFrame | None, origin: object, horizon: int, where: str) -> pd.DataFrame:
    day = _checked(history, origin, horizon, where)
    require_unbroken(history["ds"], where, until=day)
    history = _of_stores(history, where)
    history = history[history["ds"] <= day].reset_index(drop=True)  # what came later decides nothing, weeks and stores included
    step = frequency(history["ds"])
    keys = ["store_id", "product_id"] if "store_id" in history and history["store_id"].nunique() > 1 else ["product_id"]
    category = None
    if items is not None and "category" in items:
        category = items.dropna(subset=["category"]).drop_duplicates("product_id").set_index("product_id")["category"]
    # of the days after its last one the history says nothing, not that nothing was sold
    known = min(day, history["ds"].max() + pd.Timedelta(days=step - 1))
    book = ledger(history, keys, known, step, category)
    items = None if items is None else _of_units(items, keys, book, history)
    # a part of a week is asked about with its whole week, and so it is told
    periods = -(-horizon // step)
    blend = fit_blend(examples(book, periods), periods, float(periods * step))
    rows = pd.concat([book.keys, features(book, book.periods - 1, periods)], axis=1)
    rows["probability"] = blend.probability(rows[_feature_names(rows)])
    rows["off_shelf"] = (book.periods - 1 - book.shown(book.periods - 1)) * float(step)
    wanted = _wanted(rows, book, items, keys)
    if not wanted.any():
        raise BadInput(f"{where}: nothing in it sold within 365 days up to --origin {day:%Y-%m-%d}; its last day is {_last_day(history)}")
    rows = _with_items(rows[wanted], items, keys, book, blend, history)
    said = decide(rows, periods * step, step)
    out = pd.concat([rows[keys], rows["probability"].round(6), said], axis=1)
    return out.sort_values(["probability", *keys], ascending=[False] + [True] * len(keys)).reset_index(drop=True)


def _last_day(history: pd.DataFrame) -> str:
    return f"{history['ds'].max():%Y-%m-%d}"


def _feature_names(rows: pd.DataFrame) -> list[str]:
    return [name for name in rows.columns if name not in ("store_id", "product_id")]


def _checked(history: pd.DataFrame, origin: object, horizon: int, where: str) -> pd.Timestamp:
    if not isinstance(horizon, (int, np.integer)) or not 1 <= horizon <= LONGEST_HORIZON:
        raise BadInput(f"--horizon is {horizon!r}: expected a whole number of days from 1 to {LONGEST_HORIZON}")
    day = day_of(origin, "--origin")
    sold = history[(history["units"] > 0) & (history["ds"] <= day)]
    if sold.empty:
        days = f"{history['ds'].min():%Y-%m-%d} to {_last_day(history)}"
        raise BadInput(f"{where}: it has no sale up to --origin {day:%Y-%m-%d}; its days are {days}")
    require_recent(history.loc[history["ds"] <= day, "ds"].max(), day, "--origin", where)
    return day


def _of_stores(history: pd.DataFrame, where: str) -> pd.DataFrame:
    """The history without a store column that says nothing. Raises BadInput where it says something of some rows only."""
    if "store_id" not in history or not (blank := history["store_id"].isna()).any():
        return history
    if blank.all():
        return history.drop(columns="store_id")
    raise BadInput(
        f"{where}: column 'store_id', row {int(blank.to_numpy().argmax()) + 1} is blank; expected a store in every row or in none"
    )


def _of_units(items: pd.DataFrame, keys: list[str], book: Ledger, history: pd.DataFrame) -> pd.DataFrame:
    """The items with a row a unit: one without a store stands for its product in every store that has it, or in all where none ever
    had, but where the pair has a row of its own. Of a history of one store only its items count, of one that knows no stores their sum."""
    if "store_id" not in items:
        if "store_id" not in keys:
            return items
        items = items.assign(store_id=None)
    if "store_id" not in keys:
        return _of_one_store(items, history["store_id"].iloc[0]) if "store_id" in history else _of_all_stores(items)
    if not items["store_id"].isna().any():
        return items
    everywhere = items["store_id"].isna()
    listed = history[keys].drop_duplicates()
    unheard = items.loc[everywhere & ~items["product_id"].isin(listed["product_id"]), ["product_id"]]
    pairs = pd.concat([listed, unheard.merge(listed[["store_id"]].drop_duplicates(), how="cross")], ignore_index=True)
    spread = items[everywhere].drop(columns="store_id").merge(pairs, on="product_id")
    return pd.concat([items[~everywhere], spread], ignore_index=True).drop_duplicates(keys)


def _of_one_store(items: pd.DataFrame, store: str) -> pd.DataFrame:
    own = items[(items["store_id"] == store) | items["store_id"].isna()]
    return own.sort_values("store_id", na_position="last", kind="stable").drop_duplicates("product_id").drop(columns="store_id")


def _of_all_stores(items: pd.DataFrame) -> pd.DataFrame:
    def whole(values: pd.Series) -> float:
        return values.sum(min_count=1)

    told = {name: whole if name == "on_hand" else "first" for name in items if name not in ("store_id", "product_id")}
    return items.groupby("product_id", as_index=False, sort=False).agg(told) if told else items[["product_id"]].drop_duplicates()


def _wanted(rows: pd.DataFrame, book: Ledger, items: pd.DataFrame | None, keys: list[str]) -> np.ndarray:
    living = alive(book, book.periods - 1)
    if items is None:
        return living
    return living | pd.MultiIndex.from_frame(rows[keys]).isin(pd.MultiIndex.from_frame(items[keys]))


def _with_items(
    rows: pd.DataFrame, items: pd.DataFrame | None, keys: list[str], book: Ledger, blend: Blend, history: pd.DataFrame
) -> pd.DataFrame:
    """The rows with what the items say of them, and a row for each named unit that never sold."""
    if items is None:
        return rows
    facts = [name for name in ("on_hand", "unit_cost", "price") if name in items]
    joined = rows.drop(columns=[f for f in facts if f in rows]).merge(items[[*keys, *facts]].drop_duplicates(keys), on=keys, how="left")
    known = pd.MultiIndex.from_frame(book.keys[keys])
    never = items[~pd.MultiIndex.from_frame(items[keys]).isin(known)].drop_duplicates(keys)
    if never.empty:
        return joined
    listed = never[keys].merge(history.groupby(keys, as_index=False)["ds"].min(), on=keys, how="left")["ds"]
    return pd.concat([joined, _never_sold(never[[*keys, *facts]], listed, book, blend)], ignore_index=True)


def _never_sold(named: pd.DataFrame, listed: pd.Series, book: Ledger, blend: Blend) -> pd.DataFrame:
    """Rows of units without any sale: as likely to stay silent as, in closed form, one that sold once before it was listed, on the
    first day that the history has a row of it, or before the history where it has none."""
    first = (listed.fillna(book.first) - book.first).dt.days.to_numpy() // book.step
    silence = (book.periods - first) * float(book.step)
    chance = blend.closed.no_sale(pd.DataFrame({"recency": silence, "age": silence, "sales": 1.0}), blend.horizon_days)
    out = named.assign(recency=silence, age=silence, gap=np.nan, sales_91=0.0, units_91=0.0, probability=chance, never=True)
    if "product" not in book.groups:
        return out
    code, sums = book.groups["product"]
    lately = pd.Series((sums[:, -1] - sums[:, max(book.periods - 28 // book.step, 0)])[code], index=book.keys["product_id"])
    return out.assign(product_others=named["product_id"].map(lately[~lately.index.duplicated()]).fillna(0.0).to_numpy())
