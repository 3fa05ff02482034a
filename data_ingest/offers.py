"""Weekly prices and promotions of pairs, derived from sale lines and placements, and told as pos events.

A price read from a pair's own sales would be known only in weeks with a sale: a promotion flag would then give away
that something sold. So a product's regular price and discount of a week are taken from all lines of the chain, times
the pair's own price level against the chain's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa

from data_ingest.producers import event_table, joined, names_of
from data_ingest.shelf_events import local_times

#: a regular price has changed when the week's median is off by more than this share (or twice the product's own usual
#: spread), a discount when its share of the price is: below it is rounding and weighing
TOLERANCE = 0.03
#: local seconds of the day at which price labels change, and at which promotions begin and end
RELABEL_AT, START_AT, END_AT = 4 * 3600 + 1800, 4 * 3600 + 1860, 23 * 3600 + 3000

KINDS = ("discount", "mailer", "display")


@dataclass(frozen=True)
class Offers:
    """`price` and `regular` are pairs x weeks (money a unit); `promotions` has `pair, kind, start, end` (weeks, both
    included) and `promotional price`; `running` maps a kind to pairs x weeks of rows of `promotions`, -1 for none."""

    price: np.ndarray
    regular: np.ndarray
    promotions: pd.DataFrame
    running: dict[str, np.ndarray]


def weekly_offers(lines: pd.DataFrame, pairs: pd.DataFrame, placements: pd.DataFrame, weeks: int) -> Offers:
    """Offers of `pairs` (`store`, `product`) from all `lines` of their products (`store, product, week, unit_price, units,
    discount`) and `placements` (`pair, week, kind`)."""
    products = np.unique(pairs["product"])
    ours = lines[lines["product"].isin(products)]
    ours = ours.assign(code=np.searchsorted(products, ours["product"]))
    chain, cut = _chain_prices(ours, len(products), weeks)
    code = np.searchsorted(products, pairs["product"])
    regular = np.round(chain[code] * _price_level(ours, pairs, chain)[:, None], 2)
    price = np.round(regular * (1 - cut[code]), 2)
    flags = {kind: _flags(placements, kind, regular.shape) for kind in KINDS[1:]}
    return stretches_of(price, regular, {"discount": price < regular, **flags})


def stretches_of(price: np.ndarray, regular: np.ndarray, flags: dict[str, np.ndarray]) -> Offers:
    """Offers from prices and a mask for each of KINDS, all pairs x weeks: consecutive weeks are one promotion, as long as
    a discount's price stays."""
    parts = [_stretches(flags[kind], price if kind == "discount" else None, kind) for kind in KINDS]
    promotions = pd.concat(parts, ignore_index=True)
    return Offers(price, regular, promotions, {kind: _running(promotions, kind, regular.shape) for kind in KINDS})


def _chain_prices(lines: pd.DataFrame, products: int, weeks: int) -> tuple[np.ndarray, np.ndarray]:
    """Regular price and discount share, products x weeks. A week is discounted when half of its lines are."""
    share = (lines["discount"] / (lines["unit_price"] * lines["units"]).clip(lower=0.01)).clip(0, 1)
    frame = pd.DataFrame({"code": lines["code"], "week": lines["week"], "price": lines["unit_price"], "share": share, "cut": share > 0.005})
    by_week = frame.groupby(["code", "week"])
    seen, cut = (np.full((products, weeks), np.nan) for _ in range(2))
    median, often = by_week["price"].median(), by_week["cut"].mean()
    at = tuple(np.array(median.index.to_list()).T)
    depth = frame[frame["cut"]].groupby(["code", "week"])["share"].median().reindex(median.index).fillna(0)
    seen[at], cut[at] = median.to_numpy(), np.where(often >= 0.5, depth, 0)
    middle = frame.groupby("code")["price"].median().reindex(range(products)).fillna(0).clip(lower=0.01)
    # what is sold by weight costs something else on every line: its spread is not a change of price
    spread = (frame["price"] / frame["code"].map(middle) - 1).abs().groupby(frame["code"]).median().reindex(range(products)).fillna(0)
    tolerance = np.maximum(TOLERANCE, 2 * spread.to_numpy()) * middle.to_numpy()
    return _steady(seen, tolerance), np.round(_steady(cut, np.full(products, TOLERANCE)), 2)


def _steady(seen: np.ndarray, tolerance: np.ndarray) -> np.ndarray:
    """Carry values over weeks without a line, and let differences within `tolerance` be no change, unless to or from 0;
    before the first line, the first."""
    out = seen.copy()
    current = np.array([row[np.flatnonzero(~np.isnan(row))[0]] if not np.isnan(row).all() else 0.0 for row in seen])
    for week in range(seen.shape[1]):
        found = seen[:, week]
        moved = (np.abs(found - current) > tolerance) | ((found > 0) != (current > 0))
        current = np.where(moved & ~np.isnan(found), found, current)
        out[:, week] = current
    return out


def _price_level(lines: pd.DataFrame, pairs: pd.DataFrame, chain: np.ndarray) -> np.ndarray:
    """Median ratio of each pair's line prices to the chain's price of the week; 1 without lines."""
    ratio = lines["unit_price"].to_numpy() / np.maximum(chain[lines["code"], lines["week"]], 0.01)
    level = pd.Series(ratio).groupby([lines["store"].to_numpy(), lines["product"].to_numpy()]).median()
    wanted = pd.MultiIndex.from_arrays([pairs["store"], pairs["product"]])
    return level.reindex(wanted).fillna(1.0).to_numpy()


def _flags(placements: pd.DataFrame, kind: str, shape: tuple[int, ...]) -> np.ndarray:
    out = np.zeros(shape, dtype=bool)
    rows = placements[placements["kind"] == kind]
    out[rows["pair"], rows["week"]] = True
    return out


def _stretches(on: np.ndarray, price: np.ndarray | None, kind: str) -> pd.DataFrame:
    """Runs of consecutive weeks with the flag on, and at the same price where one is given."""
    before = np.zeros_like(on)
    before[:, 1:] = on[:, :-1]
    same = np.ones_like(on)
    if price is not None:
        same[:, 1:] = np.isclose(price[:, 1:], price[:, :-1])
    begins = on & ~(before & same)
    pair, start = np.nonzero(begins)
    ends = on.copy()
    ends[:, :-1] &= ~on[:, 1:] | begins[:, 1:]
    end = np.nonzero(ends)[1]
    return pd.DataFrame({"pair": pair, "kind": kind, "start": start, "end": end, "price": np.nan if price is None else price[pair, start]})


def _running(promotions: pd.DataFrame, kind: str, shape: tuple[int, ...]) -> np.ndarray:
    out = np.full(shape, -1)
    rows = promotions[promotions["kind"] == kind]
    weeks = np.arange(shape[1])
    for row, pair, start, end in zip(rows.index, rows["pair"], rows["start"], rows["end"], strict=True):
        out[pair, weeks[start : end + 1]] = row
    return out


def promotion_ids(offers: Offers, pairs: pd.DataFrame) -> np.ndarray:
    """The promotion_id of each row of `offers.promotions`: kind, pair and the week it starts in."""
    rows = offers.promotions
    store, product = (names_of(rows["pair"].to_numpy(), pairs[c]) for c in ("store_id", "product_id"))
    return joined(pa.array(rows["kind"], pa.string()), store, product, rows["start"].to_numpy()).to_numpy(zero_copy_only=False)


def line_promotion_ids(offers: Offers, pairs: pd.DataFrame, pair: np.ndarray, week: np.ndarray, discounted: np.ndarray) -> np.ndarray:
    """The promotion_id that each sale line fell under, None for none."""
    row = line_promotions(offers, pair, week, discounted)
    out = np.full(len(row), None, dtype=object)
    out[row >= 0] = promotion_ids(offers, pairs)[row[row >= 0]]
    return out


def line_promotions(offers: Offers, pair: np.ndarray, week: np.ndarray, discounted: np.ndarray) -> np.ndarray:
    """The row of `offers.promotions` that each sale line fell under, -1 for none: the discount where money came off, else
    the mailer, else the display."""
    out = np.where(discounted, offers.running["discount"][pair, week], -1)
    for kind in KINDS[1:]:
        out = np.where(out < 0, offers.running[kind][pair, week], out)
    return out


def offers_feed(
    offers: Offers,
    pairs: pd.DataFrame,
    prefix: str,
    source: str,
    first: date,
    starts: np.ndarray,
    ends: np.ndarray,
    utc_offset_hours: float,
) -> pa.Table:
    """The pos events of the offers: prices when they change (all of them in week 0), promotions as they start and end.
    `starts` and `ends` are the days of each week counted from `first`."""
    ids = promotion_ids(offers, pairs)
    rows = offers.promotions

    def told(event_type: str, pair: np.ndarray, key: np.ndarray, day: np.ndarray, second: int, **more: np.ndarray) -> pa.Table:
        store, product = names_of(pair, pairs["store_id"]), names_of(pair, pairs["product_id"])
        when = local_times(first, day, np.full(len(pair), second), utc_offset_hours)
        return event_table(event_type, source, event_id=joined(prefix, event_type, store, product, key), occurred_at=when,
                           store_id=store, product_id=product, **more)  # fmt: skip

    changed = np.ones(offers.price.shape, dtype=bool)
    changed[:, 1:] = (np.diff(offers.price) != 0) | (np.diff(offers.regular) != 0)
    pair, week = np.nonzero(changed)
    promoted = rows["pair"].to_numpy()
    return pa.concat_tables([
        told("price_changed", pair, week, starts[week], RELABEL_AT,
             price=offers.price[pair, week], regular_price=offers.regular[pair, week]),
        told("promotion_started", promoted, ids, starts[rows["start"]], START_AT, promotion_id=ids,
             promotion_kind=rows["kind"].to_numpy(), price=rows["price"].to_numpy()),
        told("promotion_ended", promoted, ids, ends[rows["end"]], END_AT, promotion_id=ids),
    ], promote_options="default")  # fmt: skip
