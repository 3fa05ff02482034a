"""A service of two tiny families, and of the stock family by its own card, over a real registry, for the tests: `tests.serving.tiny:SERVICE`."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from infra.settings import Settings, load_settings
from serving.desk import make_desk
from serving.service import build
from training.family import Card, load_card

SUM = Card(
    "sum", "units times the model's factor", "y", (), "mae", (), "/v1/sum",
    {"store_id": "string", "units": "number", "ds": "date?"}, {"total": "number", "why": "string"},
)  # fmt: skip
LOOKUP = Card(
    "lookup", "the stored level, one row a step", "y", ("level",), "mae", (), "/v1/lookup",
    {"store_id": "string", "product_id": "string", "steps": "integer 1..28"}, {"horizon": "integer", "total": "number"},
    feature_service="levels",
)  # fmt: skip
CARDS = {card.name: card for card in (SUM, LOOKUP, load_card("stock"))}


class Times:
    """`total = factor * units`; fails as a whole on a store called `poison`, like a model that trips over one row."""

    def __init__(self, factor: float, column: str = "total") -> None:
        self.factor, self.column = factor, column

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        if (frame["store_id"] == "poison").any():
            raise ArithmeticError("poison")
        total = frame["units"] * self.factor
        return pd.DataFrame({"item": range(len(frame)), self.column: total, "why": "units times " + str(self.factor)})

    def save(self, folder: Path) -> None:
        (folder / "times.json").write_text(json.dumps([self.factor, self.column]))

    @classmethod
    def load(cls, folder: Path) -> Times:
        return cls(*json.loads((folder / "times.json").read_text()))


class Steps:
    """`steps` rows an item, each the level times the step."""

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        rows = [(i, h, row.level * h) for i, row in enumerate(frame.itertuples()) for h in range(1, row.steps + 1)]
        return pd.DataFrame(rows, columns=["item", "horizon", "total"])

    def save(self, folder: Path) -> None:
        (folder / "steps").touch()

    @classmethod
    def load(cls, folder: Path) -> Steps:
        return cls()


def read_levels(service: str, keys: pd.DataFrame) -> pd.DataFrame:
    """A store of five pairs: S1/P1 has level 10, S1/P2 level 20; of the stock, only S1/P1's was ever counted. S1/P3 was last
    known of a month before the others; S1/P4 has left the shelf; S2 has shut."""
    known = pd.DataFrame({
        "store_id": ["S1", "S1", "S1", "S1", "S2"], "product_id": ["P1", "P2", "P3", "P4", "P1"], "level": [10.0, 20.0, 30.0, 5.0, 10.0],
        "store_shut": [0.0, 0.0, 0.0, 0.0, 1.0], "mean_91": [10.0, 20.0, 30.0, None, 10.0], "age_days": 400.0,
        "known_at": pd.to_datetime(["2024-03-02", "2024-03-02", "2024-02-01", "2024-03-02", "2024-03-02"]),
        "found": [True, True, False, True, True],
    })  # fmt: skip
    if service == "stock_v1":
        known = known.assign(on_hand=[40.0, None, 1.0, 1.0, 1.0], on_order=[5.0, 0.0, 0.0, 0.0, 0.0])
    out = keys.merge(known, on=["store_id", "product_id"], how="left")
    return out.assign(found=out["found"].eq(True))


def register(settings: Settings, family: str, model: Any, folder: Path) -> str:
    """A new version of `family` in the real registry, saved as the training story saves it."""
    import mlflow

    from infra.registry import Registry
    from infra.tracking import tracked_run
    from training.portable import save_portable

    with tracked_run(settings, f"shelfcast-{family}", family) as run_id:
        info = mlflow.pyfunc.log_model(
            name="model", loader_module="training.portable", data_path=str(save_portable(model, folder)), pip_requirements=["pandas"]
        )
        return Registry(settings).register(family, run_id, info.model_uri, {"mae": 1.0})


@cache
def _service() -> Any:
    settings = load_settings()
    return build(settings, CARDS, lambda: make_desk(settings, CARDS, read_levels))


def __getattr__(name: str) -> Any:
    if name == "SERVICE":
        return _service()
    raise AttributeError(name)
