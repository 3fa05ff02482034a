"""What a price cut would sell: python docs/examples/what_if.py"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

folder = Path(tempfile.mkdtemp())
days, rng = pd.date_range("2024-01-01", periods=206), np.random.default_rng(1)
price = np.where(np.arange(206) // 10 % 4 == 3, 2.4, 3.0)  # every fourth ten days at 20 % off
parts = [
    pd.DataFrame({"store_id": f"S{s}", "product_id": "milk", "ds": days, "price": price, "units": rng.poisson(8 * (price / 3) ** -2)})
    for s in range(1, 9)
]
pd.concat(parts).to_csv(folder / "history.csv", index=False)
files = ["--history", folder / "history.csv", "--horizon", "7", "--out", folder / "what_if.csv"]
subprocess.run([sys.executable, "-m", "infra.cli", "what-if", *files, "--change", "price=-20%", "--where", "store_id == 'S1'"], check=True)
print(pd.read_csv(folder / "what_if.csv").round(2).head(7).to_string(index=False))
