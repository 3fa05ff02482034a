"""`shelfcast recommend`: basket lines in, ranked products with their reasons out; no JVM."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from infra.errors import BadInput
from training.files import check_frame, check_output, read_frame, require_unbroken, write_frame
from training.recommend.candidates import known_at
from training.recommend.complete import complete
from training.recommend.purchases import LINE_COLUMNS, Purchases, encode
from training.recommend.ranking import Lists, horizon_of, learned_ranker, ranked
from training.recommend.reasons import customer_reasons

_LINES = {"required": LINE_COLUMNS, "blank": ("customer_id",)}
_BASKETS = {"required": {"basket_id": "text", "product_id": "text"}, "optional": {"customer_id": "text"}}


def recommend(lines: pd.DataFrame, k: int = 10, *, novel: bool = False, baskets: pd.DataFrame | None = None) -> pd.DataFrame:
    """The `k` products each customer of `lines` is likeliest to buy next, as known on the last day of `lines`.

    `lines`: customer_id (blank: unknown), basket_id, product_id, ds, units (negative: brought back). The answer has
    customer_id, product_id, rank, score (0..1, the probability that a customer who comes in the next four weeks, or in the
    next quarter of the days that `lines` cover where that is less, buys it, where the lines suffice to learn it) and why;
    `novel` leaves out what the customer ever bought or brought back. With `baskets` (basket_id, product_id, customer_id
    where known) the products that complete each partial basket, keyed by basket_id instead.
    Raises BadInput."""
    _check_k(k)
    rows = check_frame(lines, where="lines", **_LINES)  # type: ignore[arg-type]
    partial = None if baskets is None else _of_one_customer(check_frame(baskets, where="baskets", **_BASKETS), "baskets")  # type: ignore[arg-type]
    return _recommend(rows, k, novel, partial, "lines")


def recommend_file(lines: str | Path, k: int = 10, *, novel: bool = False, baskets: str | Path | None = None, out: str | Path) -> int:
    """`recommend` from file to file (.parquet or .csv); returns the rows written. Raises BadInput."""
    _check_k(k)
    check_output(out, [lines, baskets])
    rows = read_frame(lines, what="lines", **_LINES)  # type: ignore[arg-type]
    partial = None
    if baskets is not None:
        partial = _of_one_customer(read_frame(baskets, what="baskets", **_BASKETS), f"baskets file {baskets}")  # type: ignore[arg-type]
    answer = _recommend(rows, k, novel, partial, f"lines file {lines}")
    write_frame(answer, out)
    return len(answer)


def _recommend(lines: pd.DataFrame, k: int, novel: bool, partial: pd.DataFrame | None, where: str) -> pd.DataFrame:
    require_unbroken(lines["ds"], where, placeholders=True)
    if not (lines["units"] > 0).any():
        raise BadInput(f"{where}: column 'units' has no value above 0: expected at least one purchase")
    if partial is not None:
        return complete(encode(lines), partial, k, novel)
    if lines["customer_id"].isna().all():
        raise BadInput(f"{where}: column 'customer_id' is blank in every row: expected at least one customer")
    return _customers(encode(lines), k, novel)


def _of_one_customer(baskets: pd.DataFrame, where: str) -> pd.DataFrame:
    """The baskets; raises BadInput where one names two customers."""
    if "customer_id" in baskets:
        customer, first = baskets["customer_id"], baskets.groupby("basket_id")["customer_id"].transform("first")
        other = np.flatnonzero(customer.notna() & (customer != first))
        if len(other):
            row = other[0]
            raise BadInput(
                f"{where}: column 'customer_id', row {row + 1} is {customer[row]!r}, and an earlier row of basket "
                f"{baskets['basket_id'][row]!r} says {first[row]!r}; expected one customer a basket"
            )
    return baskets


def _check_k(k: int) -> None:
    if not 1 <= k <= 1000:
        raise BadInput(f"k is {k}: expected a whole number from 1 to 1000")


def _customers(purchases: Purchases, k: int, novel: bool) -> pd.DataFrame:
    ranker = learned_ranker(purchases, novel)
    known = known_at(purchases, horizon_of(purchases))
    lists = ranked(known, ranker, np.arange(len(purchases.customers)), k, novel)
    return _frame(purchases, lists, customer_reasons(known, lists))


def _frame(purchases: Purchases, lists: Lists, why: list[str]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "customer_id": purchases.customers[lists.group], "product_id": purchases.products[lists.product],
            "rank": lists.ranks(), "score": lists.score, "why": why,
        }
    )  # fmt: skip
