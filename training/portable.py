"""Portable models: a folder that predicts without Spark. MLflow loads it by `_load_pyfunc`, so a registered version is
a plain pyfunc model to everyone else."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Protocol

import pandas as pd

MANIFEST = "portable.json"


class Portable(Protocol):
    """A model in plain arrays, XGBoost's own format or ONNX; imports neither Spark nor Feast."""

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """One row of `frame` an item, with the card's request fields and features; the answer has a column `item`
        (position of the row it answers, from 0) and the card's response fields, one or more rows an item."""
        ...

    def save(self, folder: Path) -> None:
        """Write the model's files into an existing empty folder."""
        ...

    @classmethod
    def load(cls, folder: Path) -> Portable:
        """Read what `save` wrote."""
        ...


def save_portable(model: Portable, folder: Path) -> Path:
    """Write `model` with the manifest that says which class reads it again."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save(folder)
    kind = type(model)
    (folder / MANIFEST).write_text(json.dumps({"class": f"{kind.__module__}:{kind.__qualname__}"}))
    return folder


def load_portable(folder: Path) -> Portable:
    """The model of a folder written by `save_portable`."""
    module, name = json.loads((Path(folder) / MANIFEST).read_text())["class"].split(":")
    return getattr(importlib.import_module(module), name).load(Path(folder))


class _PyFunc:
    def __init__(self, model: Portable) -> None:
        self.model = model

    def predict(self, model_input: pd.DataFrame, params: dict | None = None) -> pd.DataFrame:
        return self.model.predict(model_input)


def _load_pyfunc(path: str) -> _PyFunc:
    return _PyFunc(load_portable(Path(path)))
