"""`shelfcast recommend`: basket lines in, ranked products with their reasons out; no JVM."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from infra.errors import BadInput
from training.files import check_frame, check_output, read_frame, write_frame
from training.recommend.candidates import known_at
from training.recommend.complete import complete
from training.recommend.purchases import LINE_COLUMNS, Purchases, check_lines, encode
from training.recommend.ranking import Lists, horizon_of, learned_ranker, ranked
from training.recommend.reasons import customer_reasons

_BASKETS = {"basket_id": "text", "product_id": "text"}
_MAY = {"customer_id": "text"}


def recommend(lines: pd.DataFrame, k: int = 10, *, novel: bool = False, baskets: pd.DataFrame | None = None) -> pd.DataFrame:
    """The `k` products each customer of `lines` is likeliest to buy next, as known on the last day of `lines`.

    `lines`: customer_id (blank: unknown), basket_id, product_id, ds, units (negative: brought back). The answer has
    customer_id, product_id, rank, score (0..1, the probability that a customer who comes in the next four weeks
    buys it, where the lines suffice to learn it) and why; `novel` leaves out what the customer ever bought. With `baskets` (basket_id,
    product_id, customer_id where known) the products that complete each partial basket, keyed by basket_id instead.
    Raises BadInput."""
    _check_k(k)
    purchases = encode(check_lines(lines))
    if baskets is not None:
        checked = check_frame(baskets, required=_BASKETS, optional=_MAY, where="baskets")
        return complete(purchases, checked, k, novel)
    return _customers(purchases, k, novel)


def recommend_file(lines: str | Path, k: int = 10, *, novel: bool = False, baskets: str | Path | None = None, out: str | Path) -> int:
    """`recommend` from file to file (.parquet or .csv); returns the rows written. Raises BadInput."""
    _check_k(k)
    check_output(out, [lines, baskets])
    frame = read_frame(lines, required=LINE_COLUMNS, what="lines", blank={"customer_id"})
    partial = None if baskets is None else read_frame(baskets, required=_BASKETS, optional=_MAY, what="baskets")
    answer = recommend(frame, k, novel=novel, baskets=partial)
    write_frame(answer, out)
    return len(answer)


def _check_k(k: int) -> None:
    if not 1 <= k <= 1000:
        raise BadInput(f"k is {k}: expected a whole number from 1 to 1000")


def _customers(purchases: Purchases, k: int, novel: bool) -> pd.DataFrame:
    if not len(purchases.customers):
        raise BadInput("lines: column 'customer_id' is blank in every row: expected at least one customer")
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
