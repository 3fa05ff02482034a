"""What to offer to whom: python docs/examples/recommend.py"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

folder = Path(tempfile.mkdtemp())
rng = np.random.default_rng(5)
aisles = {0: ["milk", "bread", "butter", "eggs"], 1: ["beans", "rice", "salsa", "tortilla"]}
rows = [
    {"customer_id": f"c{who}", "basket_id": f"b{who}-{visit}", "product_id": product, "ds": day, "units": 1}
    for who in range(30)
    for visit, day in enumerate(pd.date_range("2024-01-01", periods=12, freq="7D"))
    for product in rng.choice(aisles[who % 2], 2, replace=False)
]
pd.DataFrame(rows).to_csv(folder / "lines.csv", index=False)
subprocess.run(
    [sys.executable, "-m", "infra.cli", "recommend", "--lines", folder / "lines.csv", "--k", "3", "--out", folder / "offers.csv"],
    check=True,
)
print(pd.read_csv(folder / "offers.csv").head(6).to_string(index=False))
