"""What to order today, and why: python docs/examples/order.py"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

folder = Path(tempfile.mkdtemp())
days = pd.date_range("2024-01-01", periods=120)
units = np.random.default_rng(2).poisson(6, len(days))
pd.DataFrame({"store_id": "S1", "product_id": "milk", "ds": days, "units": units}).to_csv(folder / "history.csv", index=False)
stock = pd.DataFrame(
    {"store_id": "S1", "product_id": "milk", "on_hand": [4, None], "on_order": [None, 6], "arrives_on": [None, "2024-05-02"]}
)
stock.to_csv(folder / "stock.csv", index=False)
items = pd.DataFrame(
    {"product_id": ["milk"], "price": [1.2], "unit_cost": [0.8], "lead_time_days": [2], "review_period_days": [3], "pack_size": [6]}
)
items.to_csv(folder / "items.csv", index=False)
files = [
    "--history",
    folder / "history.csv",
    "--stock",
    folder / "stock.csv",
    "--items",
    folder / "items.csv",
    "--out",
    folder / "orders.csv",
]
subprocess.run([sys.executable, "-m", "infra.cli", "order", *files], check=True)
print(pd.read_csv(folder / "orders.csv").T.to_string(header=False))
