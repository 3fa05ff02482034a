"""A made-up retailer of which everything is known: what each product's demand depends on, its prices and promotions,
who buys it, and which days are strange.

Latent demand of a pair on a day is Poisson, or Poisson with a gamma-distributed rate (negative binomial with shape k),
around

    rate = base x store size x weekday x (1 + a sin(2 pi (day of year - phase) / 365)) x (1 + trend)^(day / 365)
           x (price / regular price)^(-elasticity) x uplift(mailer, display) x factor of a planted anomaly

Classes of intermittency follow Syntetos, Boylan and Croston (2005): smooth, erratic, intermittent, lumpy."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from data_ingest.chance import choose, keys_of, uniform
from data_ingest.offers import KINDS, Offers, stretches_of

#: class -> share of products, range of daily base rates, gamma shape (None: Poisson)
CLASSES: dict[str, tuple[float, tuple[float, float], float | None]] = {
    "smooth": (0.35, (2.0, 12.0), None), "erratic": (0.25, (1.5, 8.0), 1.2),
    "intermittent": (0.25, (0.05, 0.5), None), "lumpy": (0.15, (0.08, 0.6), 0.4),
}  # fmt: skip
#: department -> price range, margin, shelf life (NaN keeps), review period, pack sizes
DEPARTMENTS: dict[str, tuple[tuple[float, float], float, float, float, tuple[float, ...]]] = {
    "grocery": ((0.8, 6.0), 0.28, np.nan, 7, (4, 6, 12)), "produce": ((0.5, 4.0), 0.40, 10, 2, (1, 2, 4)),
    "dairy": ((0.8, 5.0), 0.30, 14, 3, (4, 6)), "bakery": ((1.0, 5.0), 0.45, 8, 2, (1, 2, 4)),
    "household": ((2.0, 15.0), 0.35, np.nan, 7, (2, 4, 6)),
}  # fmt: skip
UPLIFT = {"discount": 1.15, "mailer": 1.25, "display": 1.35}
WEEKDAY = np.array([0.85, 0.82, 0.88, 0.95, 1.20, 1.35, 0.95])
TASTES = 8
#: share of a product's buyers who share its taste
LOYAL = 0.65
#: planted anomalies: chance a pair-day (feed gaps: a store-day) and factor
ANOMALIES = {"spike": (0.0006, 5.0), "dip": (0.0006, 0.05), "price_error": (0.0004, 10.0), "feed_gap": (0.002, 0.0)}


@dataclass(frozen=True)
class World:
    """`products` has PRODUCTS' columns and the parameters of demand; `price` and `regular` are products x weeks;
    `flags` has a products x weeks mask for each promotion kind. Week k covers days 7k to 7k + 6."""

    seed: int
    start: date
    days: int
    stores: pd.DataFrame
    products: pd.DataFrame
    price: np.ndarray
    regular: np.ndarray
    flags: dict[str, np.ndarray]

    @property
    def week(self) -> np.ndarray:
        """The week of each day."""
        return np.arange(self.days) // 7


def make_world(stores: int, products: int, days: int, seed: int, start: date) -> World:
    """The retailer of a seed: the same store and product are the same however many there are."""
    goods = _products(products, seed)
    regular, price, flags = _weekly_prices(goods, -(-days // 7), seed)
    number = np.arange(stores)
    names = np.array([f"s{n + 1:04d}" for n in number], dtype=object)
    places = pd.DataFrame({"store_id": names, "size": np.exp(0.8 * (uniform(seed, "size", number) - 0.5))})
    return World(seed, start, days, places, goods, price, regular, flags)


def _products(count: int, seed: int) -> pd.DataFrame:
    number = np.arange(count)

    def draw(purpose: str) -> np.ndarray:
        return uniform(seed, purpose, number)

    department = choose(draw("dept"), np.array(list(DEPARTMENTS), dtype=object))
    kind = choose(draw("class"), np.array(list(CLASSES), dtype=object), [c[0] for c in CLASSES.values()])
    terms = [DEPARTMENTS[d] for d in department]
    low, high = (np.array([CLASSES[k][1][i] for k in kind]) for i in (0, 1))
    cheap, dear = (np.array([t[0][i] for t in terms]) for i in (0, 1))
    regular = np.round(cheap * (dear / cheap) ** draw("price"), 2)
    packs = [t[4][int(u * len(t[4]))] for t, u in zip(terms, draw("pack"), strict=True)]
    return pd.DataFrame({
        "product_id": [f"p{n + 1:05d}" for n in number],
        "description": [f"{d} article {n + 1}" for d, n in zip(department, number, strict=True)],
        "department": department, "category": [f"{d} {int(u * 4) + 1}" for d, u in zip(department, draw("cat"), strict=True)],
        "brand": choose(draw("brand"), np.array(["National", "Private"], dtype=object), [0.7, 0.3]),
        "supplier_id": [f"v{int(u * 12) + 1:02d}" for u in draw("supplier")],
        "unit_cost": np.round(regular * (1 - np.array([t[1] for t in terms])), 2), "pack_size": packs,
        "shelf_life_days": [t[2] for t in terms], "lead_time_days": 3.0 + np.floor(3 * draw("promise")),
        "review_period_days": [t[3] for t in terms],
        "class": kind, "base": low * (high / low) ** draw("base"), "shape": [CLASSES[k][2] or np.nan for k in kind],
        "elasticity": 0.8 + 2.2 * draw("elastic"), "amplitude": 0.35 * draw("season"), "phase": 365 * draw("phase"),
        "trend": -0.15 + 0.35 * draw("trend"), "regular": regular, "taste": (TASTES * draw("taste")).astype(int),
    })  # fmt: skip


def _weekly_prices(goods: pd.DataFrame, weeks: int, seed: int) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    number, week = np.arange(len(goods))[:, None], np.arange(weeks)[None, :]
    steps = np.where(uniform(seed, "reprice", number, week) < 0.02, 1.04, 1.0)
    regular = np.round(goods["regular"].to_numpy()[:, None] * np.cumprod(steps, axis=1), 2)
    flags = {kind: uniform(seed, kind, number, week) < share for kind, share in zip(KINDS, (0.08, 0.05, 0.04), strict=True)}
    depth = choose(uniform(seed, "depth", number, week), [0.1, 0.2, 0.3, 0.4])
    return regular, np.round(np.where(flags["discount"], regular * (1 - depth), regular), 2), flags


def offers_of(world: World, stores: int) -> Offers:
    """The chain's offers for `stores` stores, a row a pair, store by store."""

    def spread(of_products: np.ndarray) -> np.ndarray:
        return np.tile(of_products, (stores, 1))

    return stretches_of(spread(world.price), spread(world.regular), {kind: spread(mask) for kind, mask in world.flags.items()})


def planted(world: World, stores: np.ndarray) -> pd.DataFrame:
    """The anomalies of some stores: `store` (row), `product` (row, -1 for a feed gap), `day`, `kind`, `factor`. Spikes and
    dips are planted where a day without one would usually sell: base rate of at least 1."""
    key = keys_of(stores)[:, None, None]
    number, day = np.arange(len(world.products))[None, :, None], np.arange(world.days)[None, None, :]
    draw = uniform(world.seed, "anomaly", key, number, day)
    usual = (world.products["base"].to_numpy() >= 1)[None, :, None]
    parts, edge = [], 0.0
    for kind in ("spike", "dip", "price_error"):
        chance, factor = ANOMALIES[kind]
        hit = np.nonzero((draw >= edge) & (draw < edge + chance) & (usual | (kind == "price_error")))
        parts.append(pd.DataFrame({"store": hit[0], "product": hit[1], "day": hit[2], "kind": kind, "factor": factor}))
        edge += chance
    chance, factor = ANOMALIES["feed_gap"]
    gap = np.nonzero(uniform(world.seed, "gap", keys_of(stores)[:, None], np.arange(world.days)[None, :]) < chance)
    parts.append(pd.DataFrame({"store": gap[0], "product": -1, "day": gap[1], "kind": "feed_gap", "factor": factor}))
    return pd.concat(parts, ignore_index=True)


def expected_demand(world: World, size: float) -> np.ndarray:
    """Mean latent units of a store of that size, products x days, without anomalies."""
    goods, day = world.products, np.arange(world.days)[None, :]
    column = {name: goods[name].to_numpy()[:, None] for name in ("base", "amplitude", "phase", "trend", "elasticity")}
    first = world.start.toordinal()
    of_year = first + day - date(world.start.year, 1, 1).toordinal()
    season = 1 + column["amplitude"] * np.sin(2 * np.pi * (of_year - column["phase"]) / 365)
    lift = np.prod([np.where(world.flags[kind], UPLIFT[kind], 1.0) for kind in KINDS], axis=0)
    offer = (world.price / world.regular) ** -column["elasticity"] * lift
    weekday = WEEKDAY[(world.start.weekday() + day) % 7]
    return column["base"] * size * weekday * season * (1 + column["trend"]) ** (day / 365) * offer[:, world.week]


def latent_demand(world: World, store: int, anomalies: pd.DataFrame) -> np.ndarray:
    """Units demanded in a store (row of `world.stores`), products x days, drawn with the store's own generator."""
    place = world.stores.iloc[store]
    chance = np.random.Generator(np.random.Philox(key=[world.seed, int(keys_of([place["store_id"]])[0])]))
    rate = expected_demand(world, place["size"])
    strange = anomalies[anomalies["kind"].isin(["spike", "dip"])]
    rate[strange["product"], strange["day"]] *= strange["factor"]
    shape = world.products["shape"].to_numpy()
    clumped = np.flatnonzero(~np.isnan(shape))
    k = shape[clumped][:, None]
    rate[clumped] *= chance.gamma(np.broadcast_to(k, (len(clumped), world.days))) / k
    return chance.poisson(rate)
