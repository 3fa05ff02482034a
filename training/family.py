"""What a model family is. A family is a folder `training/<name>/` with a `card.py` (light: serving reads it) and a
`family.py` (Spark); it is found by being there."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import pandas as pd

from infra.errors import BadInput
from infra.settings import Settings
from infra.tables import Table
from training.portable import Portable

if TYPE_CHECKING:
    import optuna
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class Gate:
    """A bar a challenger must clear: `metric` (lower is better) at most `at_most` times the rival's, in every
    segment when `per_segment`; `against` is `baseline` or `champion`."""

    metric: str
    against: str
    at_most: float
    per_segment: bool = False


@dataclass(frozen=True)
class Card:
    """A family in one glance. `request` and `response` map field names to JSON types of one item of the endpoint, written
    as `serving.contract` reads them: `integer 1..28`, `number 0..?` (may be left out), `number or stored` (left out, the online
    feature of that name stands for it)."""

    name: str
    doc: str
    label: str
    features: tuple[str, ...]
    metric: str
    gates: tuple[Gate, ...]
    endpoint: str
    request: Mapping[str, str]
    response: Mapping[str, str]
    #: the Feast feature service whose values are looked up online for a request; empty: none
    feature_service: str = ""
    #: the entity columns by which they are looked up
    entity: tuple[str, ...] = ("store_id", "product_id")
    drift_columns: tuple[str, ...] = field(default=())
    #: whether what is not sold is refused: pairs of a store that has shut, pairs that have left the shelf (feature_repo/shut.py)
    on_sale_only: bool = False


@dataclass(frozen=True)
class Fold:
    """One rolling origin: fitted on rows whose label was known by `origin`, judged on the rows that follow it: no more of them
    than a driver holds."""

    origin: date
    train: DataFrame
    test: DataFrame

    @cached_property
    def held_out(self) -> pd.DataFrame:
        """`test` on the driver: read once, for every contender and trial."""
        return self.test.toPandas()


class Fitted(Protocol):
    """A contender after fitting."""

    def predict(self, frame: DataFrame) -> DataFrame:
        """`frame` with the family's prediction columns added, by Spark; never a row more or less."""
        ...

    def portable(self) -> Portable:
        """The same model without Spark."""
        ...


class Contender(Protocol):
    """What competes to serve: a cheap baseline or a pyspark.ml candidate, on equal terms."""

    @property
    def name(self) -> str:
        """Its name in the run and the registry."""
        ...

    @property
    def baseline(self) -> bool:
        """Whether it is a cheap rule that candidates must beat."""
        ...

    def space(self, trial: optuna.Trial) -> dict[str, Any]:
        """The parameters of one trial; empty when there is nothing to tune."""
        ...

    def fit(self, train: DataFrame, params: Mapping[str, Any]) -> Fitted:
        """Fit on Spark rows."""
        ...


class Family(Protocol):
    """What the training story asks of a family."""

    card: Card
    #: the lake tables that `dataset` reads, as far as they were ever written; their Delta versions identify what a model was trained on
    sources: Sequence[Table]
    #: the decision table that `score` fills
    decisions: Table

    def dataset(self, spark: SparkSession, settings: Settings) -> DataFrame:
        """The examples: keys, `origin`, `segment`, the card's features and label, each as known at its origin."""
        ...

    def folds(self, data: DataFrame) -> Sequence[Fold]:
        """Rolling origins, oldest first; the last one is judged once and never tuned on."""
        ...

    def contenders(self) -> Sequence[Contender]:
        """Baselines first, then candidates."""
        ...

    def judge(self, fitted: Fitted, fold: Fold) -> pd.DataFrame:
        """Rows `segment, metric, value` of what was fitted, in the form that would serve where that answers row by row, on the
        fold's test; segment `all` pools them; `card.metric` and the gates' metrics are among them and are better when lower."""
        ...

    def finish(self, fitted: Fitted, data: DataFrame) -> Portable:
        """The portable model that serves, calibrated on data the fit has not seen where that applies."""
        ...

    def score(self, spark: SparkSession, settings: Settings, model: Portable, version: str, day: date | None = None) -> DataFrame:
        """Today's rows of `decisions`, by the champion, from the newest features of the lake; with `day`, that day's rows from
        the features of that day. Raises BadInput where the family cannot look back."""
        ...

    def parity(self, fitted: Fitted, portable: Portable, sample: DataFrame) -> float:
        """Largest relative difference between the Spark model's and the portable model's predictions, row by row."""
        ...


def family_names() -> list[str]:
    """The families there are: folders of `training` that hold a card."""
    import training

    names = [module.name for module in pkgutil.iter_modules(training.__path__) if module.ispkg]
    return sorted(name for name in names if importlib.util.find_spec(f"training.{name}.card"))


def load_card(name: str) -> Card:
    """The card of a family; raises BadInput with the known names. Imports no Spark."""
    _known(name)
    return importlib.import_module(f"training.{name}.card").CARD


def load_family(name: str) -> Family:
    """The family itself; imports Spark."""
    _known(name)
    return importlib.import_module(f"training.{name}.family").FAMILY


def _known(name: str) -> None:
    if name not in family_names():
        raise BadInput(f"there is no model family {name!r}: expected one of {', '.join(family_names())}")
