"""Basket lines as integer arrays: the one form that habits, similarities and rankings are computed from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from scipy import sparse

LINE_COLUMNS = {"customer_id": "text", "basket_id": "text", "product_id": "text", "ds": "date", "units": "number"}


@dataclass(frozen=True)
class Returned:
    """The lines as they came, purchases too, of every known customer's product that a line without units above 0 tells of: few.
    `customer`, `product` and `day` as in Purchases; `units`, negative where brought back."""

    customer: np.ndarray
    product: np.ndarray
    day: np.ndarray
    units: np.ndarray

    def until(self, day: int) -> Returned:
        """The lines up to and including `day`."""
        known = self.day <= day
        return Returned(self.customer[known], self.product[known], self.day[known], self.units[known])


@dataclass(frozen=True)
class Purchases:
    """Distinct (basket, product) lines, oldest first. `customer` is -1 where unknown; `day` counts from 1970-01-01; `returned`
    tells what was brought back; `last_day` is the day at whose end they are looked at."""

    customers: np.ndarray
    products: np.ndarray
    customer: np.ndarray
    product: np.ndarray
    basket: np.ndarray
    day: np.ndarray
    returned: Returned
    last_day: int

    @property
    def span(self) -> int:
        """Days from the first line to the last day, both counted."""
        return self.last_day - int(self.day[0]) + 1

    def until(self, day: int) -> Purchases:
        """The lines up to and including `day`; customers and products keep their numbers."""
        return self._slice(0, int(np.searchsorted(self.day, day, side="right")), day)

    def after(self, day: int, last: int) -> Purchases:
        """The lines of the days `day + 1 .. last`."""
        low, high = np.searchsorted(self.day, [day, last], side="right")
        return self._slice(int(low), int(high), last)

    def _slice(self, low: int, high: int, last_day: int) -> Purchases:
        rows = slice(low, high)
        return replace(
            self, customer=self.customer[rows], product=self.product[rows], basket=self.basket[rows], day=self.day[rows],
            returned=self.returned.until(last_day), last_day=last_day,
        )  # fmt: skip

    @cached_property
    def bought(self) -> sparse.csr_matrix:
        """Customers x products, 1 where the lines hold a purchase of the product by the customer, brought back or not."""
        known = self.customer >= 0
        return indicator(self.customer[known], self.product[known], (len(self.customers), len(self.products)))

    @cached_property
    def had(self) -> sparse.csr_matrix:
        """`bought`, and what the customer brought back: that was bought before the lines begin where they hold no purchase."""
        return self.bought.maximum(indicator(self.returned.customer, self.returned.product, self.bought.shape))

    @cached_property
    def kept(self) -> np.ndarray:
        """(lines,) False where the customer had brought back as many units of the product as they bought, by the last day."""
        total = len(self.products)
        pair, line = np.unique(_pairs(self.returned.customer, self.returned.product, total), return_inverse=True)
        wholly = pair[np.bincount(line, weights=self.returned.units, minlength=len(pair)) <= 0]
        return ~pd.Index(_pairs(self.customer, self.product, total)).isin(wholly)


def indicator(rows: np.ndarray, cols: np.ndarray, shape: tuple[int, int]) -> sparse.csr_matrix:
    """A 0/1 float32 matrix with ones at (rows, cols), duplicates counted once."""
    matrix = sparse.csr_matrix((np.ones(len(rows), dtype=np.float32), (rows, cols)), shape=shape)
    matrix.sum_duplicates()
    matrix.data[:] = 1.0
    return matrix


def encode(lines: pd.DataFrame, products: np.ndarray | None = None, last_day: int | None = None) -> Purchases:
    """Purchases of typed lines (LINE_COLUMNS; a blank customer is an unknown one, negative units are returns); the order of the
    rows does not matter. `products` (sorted) numbers products as another set of lines does, and drops the others; `last_day`
    is that of the newest purchase when None."""
    if products is not None:
        lines = lines[lines["product_id"].isin(products)]
    customer, customers = numbered(lines["customer_id"])
    product, own = numbered(lines["product_id"])
    if products is not None:
        product, own = np.searchsorted(products, own).astype(np.int32)[product], products
    day = lines["ds"].to_numpy().astype("datetime64[D]").astype(np.int32)
    # tills number their baskets each for itself, and anew each day: the same id of two customers or days is two baskets
    of_customer = numbered(lines["basket_id"])[0].astype(np.int64) * (len(customers) + 1) + customer
    days = np.int64(day.max(initial=0) + 1)
    basket = np.unique(np.unique(of_customer, return_inverse=True)[1] * days + day, return_inverse=True)[1]
    units = lines["units"].to_numpy(dtype=float)
    pair = _pairs(customer, product, len(own))
    told = (customer >= 0) & pd.Index(pair).isin(pair[units <= 0])
    returned = Returned(customer[told], product[told], day[told], units[told])
    order = np.lexsort((product, basket, day))
    order = order[units[order] > 0]
    line = basket[order].astype(np.int64) * len(own) + product[order]
    order = order[np.sort(np.unique(line, return_index=True)[1])]
    last = int(day[order[-1]]) if last_day is None else last_day
    return Purchases(customers, own, customer[order], product[order], basket[order], day[order], returned, last)


def distinct(codes: np.ndarray) -> np.ndarray:
    """The distinct whole numbers, ascending. By sorting: numpy's own `unique` hashes, which takes ten times as long on keys
    made of a customer and a product."""
    ordered = np.sort(codes)
    return ordered[np.diff(ordered, prepend=ordered[:1] - 1) > 0]


def numbered(values: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Codes (int32, -1 where blank) into the sorted distinct values."""
    codes, found = pd.factorize(values)
    order = np.argsort(np.asarray(found, dtype=object))
    rank = np.empty(len(found) + 1, dtype=np.int32)
    rank[order] = np.arange(len(found))
    rank[-1] = -1  # the code of a blank is -1: the last place
    return rank[codes], np.asarray(found, dtype=object)[order]


def _pairs(customer: np.ndarray, product: np.ndarray, products: int) -> np.ndarray:
    """One int64 a (customer, product), below 0 where the customer is unknown."""
    return customer.astype(np.int64) * products + product
