"""Forecast a week of two products from a plain CSV: python docs/examples/forecast.py"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

folder = Path(tempfile.mkdtemp())
days = pd.date_range("2024-01-01", periods=120)
week = np.array([3, 3, 4, 4, 6, 9, 7])[days.dayofweek]
rng = np.random.default_rng(1)
milk = pd.DataFrame({"store_id": "S1", "product_id": "milk", "ds": days, "units": rng.poisson(week)})
saffron = milk.assign(product_id="saffron", units=rng.poisson(0.05 * week))
pd.concat([milk, saffron]).to_csv(folder / "history.csv", index=False)
files = ["--history", folder / "history.csv", "--horizon", "7", "--out", folder / "forecast.csv"]
subprocess.run([sys.executable, "-m", "infra.cli", "forecast", *files], check=True)
print(pd.read_csv(folder / "forecast.csv").round(2).to_string(index=False))
