"""Which days look wrong, and why: python docs/examples/detect.py"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

folder = Path(tempfile.mkdtemp())
days = pd.date_range("2024-01-01", periods=120)
units = np.random.default_rng(3).poisson(20, len(days))
units[-5], units[-2] = 95, 0  # a feed counted twice and more, a day that did not arrive
history = pd.DataFrame({"store_id": "S1", "product_id": "milk", "ds": days, "units": units, "revenue": 1.2 * units})
history.to_csv(folder / "history.csv", index=False)
files = ["--history", folder / "history.csv", "--since", "2024-04-20", "--out", folder / "strange.csv"]
subprocess.run([sys.executable, "-m", "infra.cli", "detect", *files], check=True)
found = pd.read_csv(folder / "strange.csv").sort_values("score", ascending=False)
print(found[["ds", "score", "alert", "kind", "why"]].head(4).to_string(index=False))
