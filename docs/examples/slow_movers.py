"""What will not sell in the next eight weeks: python docs/examples/slow_movers.py"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

folder = Path(tempfile.mkdtemp())
days = pd.date_range("2023-01-01", periods=400)
rng = np.random.default_rng(4)
rates = {f"item{n}": rate for n, rate in enumerate(np.geomspace(0.002, 1.0, 40))}
history = pd.concat(
    pd.DataFrame({"store_id": "S1", "product_id": name, "ds": days, "units": rng.poisson(rate, len(days))}) for name, rate in rates.items()
)
history[history["units"] > 0].to_csv(folder / "history.csv", index=False)
files = ["--history", folder / "history.csv", "--origin", "2024-02-04", "--horizon", "56", "--out", folder / "slow.csv"]
subprocess.run([sys.executable, "-m", "infra.cli", "slow-movers", *files], check=True)
found = pd.read_csv(folder / "slow.csv").sort_values("probability", ascending=False)
print(found.head(5).to_string(index=False))
