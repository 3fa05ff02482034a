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
stock = "store_id,product_id,on_hand,on_order,arrives_on\nS1,milk,4,,\nS1,milk,,6,2024-05-02\n"
(folder / "stock.csv").write_text(stock)
(folder / "items.csv").write_text("product_id,price,unit_cost,lead_time_days,review_period_days,pack_size\nmilk,1.2,0.8,2,3,6\n")
files = [f"--{name}={folder / name}.csv" for name in ("history", "stock", "items")]
subprocess.run([sys.executable, "-m", "infra.cli", "order", *files, "--out", folder / "orders.csv"], check=True)
print(pd.read_csv(folder / "orders.csv").T.to_string(header=False))
