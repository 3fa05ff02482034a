"""What the simulated shelf did, as stock and supply events."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from data_ingest.chance import keys_of, uniform
from data_ingest.producers import SIMULATED, event_table, joined, names_of
from data_ingest.shelf import ADJUST_AT, COUNT_AT, EXPIRE_AT, ORDER_AT, RECEIVE_AT, ShelfRun

#: local second of the day at which a supplier's lorry leaves
_DISPATCH_AT = 15 * 3600


def local_times(first: date, day: Any, second: Any, utc_offset_hours: float) -> np.ndarray:
    """UTC times (datetime64[us]) of local `second`s of the `day`s counted from `first`."""
    start = np.datetime64(first, "us") - np.timedelta64(round(utc_offset_hours * 3600), "s")
    seconds = np.asarray(day, dtype=np.int64) * 86400 + np.asarray(second, dtype=np.int64)
    return start + seconds * np.timedelta64(1_000_000, "us")


def shelf_feed(run: ShelfRun, pairs: pd.DataFrame, prefix: str, first: date, utc_offset_hours: float) -> dict[str, pa.Table]:
    """Tables `stock` and `supply` of the run's events; `prefix` begins every id, `first` is the run's day 0."""
    teller = _Teller(pairs, prefix, first, utc_offset_hours)
    days = run.in_stock.shape[1]
    received = run.orders[run.orders["received_day"] < days]
    stock = [
        teller.moves("count", run.counts, np.where(run.counts["day"] == 0, EXPIRE_AT, COUNT_AT)),
        teller.moves("waste", run.waste, EXPIRE_AT, reason="past its shelf life"),
        teller.moves("adjustment", run.adjustments, ADJUST_AT, reason="shrinkage"),
        teller.deliveries("receipt", received, received["received_day"], RECEIVE_AT, received["received_units"]),
    ]
    return {"stock": pa.concat_tables(stock, promote_options="default"), "supply": _supply(teller, run, received, days)}


def _supply(teller: _Teller, run: ShelfRun, received: pd.DataFrame, days: int) -> pa.Table:
    left_on = np.maximum(run.orders["received_day"] - 1, run.orders["ordered_day"])
    gone = left_on < days
    promised = np.datetime64(teller.first) + run.orders["promised_day"].to_numpy().astype("timedelta64[D]")
    cost = teller.pairs["unit_cost"].to_numpy()[run.orders["pair"]]
    supply = [
        teller.deliveries("order_placed", run.orders, run.orders["ordered_day"], ORDER_AT, run.orders["ordered_units"],
                          promised_on=pa.array(promised, pa.date32()), unit_cost=np.round(cost, 2)),
        teller.deliveries("shipment_dispatched", run.orders[gone], left_on[gone], _DISPATCH_AT, run.orders["received_units"][gone]),
        teller.deliveries("shipment_received", received, received["received_day"], RECEIVE_AT, received["received_units"]),
    ]  # fmt: skip
    return pa.concat_tables(supply, promote_options="default")


class _Teller:
    """Turns rows of (pair, day) into events of a run."""

    def __init__(self, pairs: pd.DataFrame, prefix: str, first: date, utc_offset_hours: float) -> None:
        self.pairs, self.prefix, self.first, self.offset = pairs, prefix, first, utc_offset_hours
        self.key = keys_of(pairs["store_id"], pairs["product_id"])

    def moves(self, event_type: str, moves: pd.DataFrame, second: Any, **more: str) -> pa.Table:
        """Stock events without an order behind them."""
        store, product = self._names(moves["pair"])
        return event_table(
            event_type, SIMULATED,
            event_id=joined(self.prefix, event_type, store, product, moves["day"].to_numpy()),
            occurred_at=self._when(moves["pair"], moves["day"], second),
            store_id=store, product_id=product, units=moves["units"].to_numpy(),
            **{name: pa.repeat(text, len(moves)) for name, text in more.items()},
        )  # fmt: skip

    def deliveries(self, event_type: str, orders: pd.DataFrame, day: Any, second: int, units: pd.Series, **more: Any) -> pa.Table:
        """Events of order lines; an order line is identified by its pair and the day it was placed."""
        store, product = self._names(orders["pair"])
        order_id = joined(self.prefix, "order", store, product, orders["ordered_day"].to_numpy())
        return event_table(
            event_type, SIMULATED,
            event_id=joined(order_id, event_type), occurred_at=self._when(orders["pair"], day, second),
            store_id=store, product_id=product, order_id=order_id, units=units.to_numpy(float),
            supplier_id=names_of(orders["pair"].to_numpy(), self.pairs["supplier_id"]), **more,
        )  # fmt: skip

    def _names(self, pair: pd.Series) -> tuple[pa.Array, pa.Array]:
        codes = pair.to_numpy()
        return names_of(codes, self.pairs["store_id"]), names_of(codes, self.pairs["product_id"])

    def _when(self, pair: pd.Series, day: Any, second: Any) -> np.ndarray:
        # a shop does not book a thousand moves in the same second: up to ten minutes of spread, the same for a pair every day
        spread = np.floor(600 * uniform(0, "minute", self.key[pair.to_numpy()])).astype(int)
        return local_times(self.first, day, np.asarray(second) + spread, self.offset)
