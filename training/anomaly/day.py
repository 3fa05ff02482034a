"""One day of one pair against what was known the day before: the channels of the served model. No history is at hand
here, only a row of online features; `channels.py` is the deeper look that a whole history allows."""

from __future__ import annotations

import numpy as np
import pandas as pd

from training.anomaly.surprise import surprise

#: channel -> kind of the alert
KINDS = {"odd_high": "spike", "odd_low": "drop", "odd_price": "price", "odd_feed": "feed", "odd_returns": "returns"}
CHANNELS = tuple(KINDS)
#: optional facts of the day
FACTS = ("revenue", "lines", "baskets", "returns")
#: spread of a log price, and of lines a basket, that is not strange
_PRICE_SPREAD, _FEED_SPREAD = 0.15, 0.1
#: a ratio with nothing on one side is a factor of 20 off
_BROKEN = 3.0
#: share of the units that come back where nothing else is known
_RETURN_RATE = 0.02


def expected_units(frame: pd.DataFrame) -> np.ndarray:
    """(m,) mean units of each row's day: level x the share of its weekday."""
    shares = frame[[f"dow_{d}" for d in range(7)]].to_numpy(dtype=float)
    weekday = pd.DatetimeIndex(pd.to_datetime(frame["ds"])).dayofweek.to_numpy()
    share = np.nan_to_num(shares[np.arange(len(frame)), weekday], nan=1.0)
    return np.maximum(np.nan_to_num(frame["level"].to_numpy(dtype=float)) * share, 0.005)


def spread_of(frame: pd.DataFrame) -> np.ndarray:
    """(m,) excess spread of the negative binomial: variance = mean + spread x mean^2, from the index of dispersion of the
    last 91 days and the uncertainty of the level."""
    level = np.maximum(_number(frame, "mean_91"), 0.05)
    index = np.nan_to_num(_number(frame, "dispersion"), nan=1.5)
    return np.maximum(index - 1, 0.05) / np.nan_to_num(level, nan=1.0) + 1.0 / (1.0 + 28.0 * np.nan_to_num(_number(frame, "level")))


def channels(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns CHANNELS, in powers of ten, and `z` (residual in standard deviations), for rows of `ds, units`, the card's
    features and, where known, FACTS."""
    units, mean, spread = _number(frame, "units"), expected_units(frame), spread_of(frame)
    high, low = surprise(units[:, None], mean[:, None], spread[:, None])
    out = {"odd_high": high[:, 0], "odd_low": np.maximum(low[:, 0], _quiet(frame, units, mean, spread))}
    out["odd_price"] = _off(_number(frame, "revenue"), units * _number(frame, "price"), _PRICE_SPREAD)
    out["odd_feed"] = _off(_number(frame, "lines"), _number(frame, "baskets"), _FEED_SPREAD)
    back = _number(frame, "returns")
    usual = _RETURN_RATE * np.nan_to_num(_number(frame, "mean_28")) + 0.005
    out["odd_returns"] = surprise(back[:, None], usual[:, None], np.full((len(frame), 1), 1.0))[0][:, 0]
    out["z"] = (units - mean) / np.sqrt(mean + spread * mean**2)
    return pd.DataFrame({name: np.nan_to_num(values).astype(float) for name, values in out.items()}, index=frame.index)


def _number(frame: pd.DataFrame, name: str) -> np.ndarray:
    return frame[name].to_numpy(dtype=float) if name in frame else np.full(len(frame), np.nan)


def _quiet(frame: pd.DataFrame, units: np.ndarray, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """-log10 of the chance of so long a run of zeros up to this day; slow pairs are silent for long."""
    none = (1.0 / (1.0 + spread * mean)) ** (1.0 / spread)
    silent = 1.0 - 1.0 / np.maximum(np.nan_to_num(_number(frame, "adi"), nan=30.0), 1.001)
    # 0 when the day before sold: the run is this day alone; days without stock are no evidence of quiet
    before = np.minimum(np.nan_to_num(_number(frame, "days_in_stock_since_sale"), nan=0.0), 14.0)
    return np.where(units == 0, -np.log10(none) - before * np.log10(np.maximum(silent, none)), 0.0)


def _off(top: np.ndarray, bottom: np.ndarray, spread: float) -> np.ndarray:
    """How far log(top / bottom) lies from 0, in powers of ten of a t-like tail; 0 where a side is unknown or both are 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        move = np.abs(np.log(top) - np.log(bottom))
    move = np.where(np.isinf(move), _BROKEN, np.nan_to_num(move))
    return 1.5 * np.log10(1 + (np.minimum(move, 6.0) / spread) ** 2)
