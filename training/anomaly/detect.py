"""What looks wrong: a score, an alert, its kind and why, for every series and day. `shelfcast detect` and the platform's
batch scorer both end here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from infra.errors import BadInput
from training.anomaly.channels import EXTRA, Judged, judge, off_weeks, panel_of
from training.anomaly.reasons import kinds, reasons
from training.files import check_frame, check_output, day_of, read_frame, require_unbroken, write_frame

#: at most about one false alert a thousand series-days: on real sales the scores run a little ahead of their name
ALERT_AT = 3.2

_REQUIRED = {"store_id": "text", "product_id": "text", "ds": "date", "units": "number"}
_OPTIONAL = dict.fromkeys((*EXTRA, "in_stock", "price"), "number")
_CHECKS = {
    "required": _REQUIRED, "optional": _OPTIONAL, "key": ("store_id", "product_id", "ds"),
    "nonnegative": ("units", *EXTRA, "price"), "between": {"in_stock": (0, 1)},
}  # fmt: skip


def detect(history: pd.DataFrame, since: object = None) -> pd.DataFrame:
    """Rows `store_id, product_id, ds, score, alert, kind, why`, one for every series and day of the history from `since`
    on (default: all). `score` is -log10 of how often so strange a day is seen, comparable across series; nothing after
    a day changes its score. History: `store_id, product_id, ds, units`, and where known `revenue` (or `price`), `lines, baskets,
    returns` and `in_stock` (0..1). Raises BadInput naming the column and row that cannot be used."""
    return _detect(check_frame(history, where="the history", **_CHECKS), since, "the history")  # type: ignore[arg-type]


def detect_file(history: str | Path, since: object, out: str | Path) -> pd.DataFrame:
    """`detect` from a CSV or parquet file to another; the rows that were written."""
    check_output(out, [history])
    rows = read_frame(history, what="history", **_CHECKS)  # type: ignore[arg-type]
    found = _detect(rows, since, f"history file {history}")
    write_frame(found, out)
    return found


def _detect(history: pd.DataFrame, since: object, where: str) -> pd.DataFrame:
    require_unbroken(history["ds"], where)
    if (odd := off_weeks(history["ds"])) is not None:
        raise BadInput(
            f"{where}: column 'ds', row {odd + 1} is {history['ds'].iloc[odd]:%Y-%m-%d}; expected whole weeks after "
            f"{history['ds'].min():%Y-%m-%d}, as in the rows before it"
        )
    judged = judge(panel_of(history))
    days = judged.panel.days
    if since is None or since == "":
        return table(judged, 0)
    first = day_of(since, "--since")
    last = days[-1] + pd.Timedelta(days=judged.panel.step - 1)
    if first > last:
        raise BadInput(f"--since is {first:%Y-%m-%d}: expected a date up to the last day of {where}, {last:%Y-%m-%d}")
    # a day in the middle of a week is asked about with its week
    return table(judged, max(int(np.searchsorted(days, np.datetime64(first), side="right")) - 1, 0))


def table(judged: Judged, first: int) -> pd.DataFrame:
    """The output rows of the columns from `first` on, series by series."""
    n, width = judged.score[:, first:].shape
    keys = judged.panel.keys
    score = judged.score[:, first:].ravel()
    alert = score >= ALERT_AT
    kind = kinds(judged, first).ravel()
    return pd.DataFrame(
        {
            "store_id": np.repeat(keys["store_id"].to_numpy(), width), "product_id": np.repeat(keys["product_id"].to_numpy(), width),
            "ds": np.tile(judged.panel.days[first:].to_numpy(), n), "score": np.round(score.astype(float), 4), "alert": alert,
            "kind": np.where(alert, kind, ""), "why": reasons(judged, first, kind),
        }
    )  # fmt: skip
