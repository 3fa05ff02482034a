"""What a training run leaves in MLflow: parameters, folds, metrics by segment, plots, the data's versions, the model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from infra.lake import Lake
from infra.settings import Settings
from infra.spark import bring
from training.family import Family, Fitted, Fold
from training.portable import Portable, save_portable

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from training.tuning import Tuned

#: the serving lock pins these; naming them here keeps MLflow from guessing for half a minute
_REQUIREMENTS = ["numpy", "pandas", "xgboost-cpu"]


def log_story(
    family: Family,
    settings: Settings,
    tuned: Sequence[Tuned],
    folds: Sequence[Fold],
    scores: pd.DataFrame,
    recipe: Mapping[str, Any],
    said: Sequence[str],
    gap: float,
) -> None:
    """Everything but the model, into the active run."""
    import mlflow

    lake = Lake(settings.lake_url)
    best = recipe["contender"]
    baseline = min((t for t in tuned if t.contender.baseline), key=lambda t: t.value).contender.name
    mlflow.log_params(
        {"contender": best, "folds": len(folds), "seed": settings.seed, **{k: str(v)[:500] for k, v in recipe["params"].items()}}
    )
    mlflow.log_metrics(
        {f"{row.segment}.{row.metric}": row.value for row in scores[scores["contender"] == best].itertuples() if pd.notna(row.value)}
    )
    mlflow.log_metrics({f"tuning.{t.contender.name}.{family.card.metric}": t.value for t in tuned})
    mlflow.log_metric("parity.max_relative_difference", gap)
    mlflow.set_tags({f"lake.{table.name}.version": str(lake.version(table)) for table in family.sources if lake.exists(table)})
    gates = "failed" if any(text.startswith("failed") for text in said) else "passed"
    mlflow.set_tags(
        {"recipe": json.dumps(recipe), "contender": best, "baseline": baseline, "gates": gates, "verdicts": json.dumps(list(said))}
    )
    mlflow.log_table(scores, "judged.json")
    mlflow.log_table(pd.DataFrame({"fold": range(len(folds)), "origin": [f.origin.isoformat() for f in folds]}), "folds.json")
    trials = pd.concat([t.trials.assign(contender=t.contender.name) for t in tuned], ignore_index=True)
    mlflow.log_table(trials.astype({"state": str}), "trials.json")
    _log_plot(scores, family.card.metric)


def log_model(portable: Portable, fitted: Fitted, family: Family, test: DataFrame, lake: Lake, scratch: Path) -> str:
    """The portable model with signature and input example, and beside it the Spark model of the same fit where there is
    one, and the names of the features that it kept; returns the model's URI. `scratch` is emptied. The Spark model goes by
    way of the lake, where every executor can write."""
    import mlflow

    folder = save_portable(portable, scratch / "portable")
    example = input_example(family, test)
    signature = mlflow.models.infer_signature(example, portable.predict(example))
    info = mlflow.pyfunc.log_model(
        name="model",
        loader_module="training.portable",
        data_path=str(folder),
        signature=signature,
        input_example=example,
        pip_requirements=_REQUIREMENTS,
    )
    kept = getattr(fitted, "kept", ())
    if kept:
        mlflow.log_dict({"kept": list(kept)}, "features.json")
    spark_model = getattr(fitted, "spark_model", None)
    if spark_model is not None:
        away = f"{lake.url.rstrip('/')}/scratch/{scratch.name}"
        spark_model.write().overwrite().save(away)
        bring(test.sparkSession, away, scratch / "spark")
        mlflow.log_artifacts(str(scratch / "spark"), "spark_model")
    shutil.rmtree(scratch)
    return info.model_uri


def input_example(family: Family, test: DataFrame) -> pd.DataFrame:
    """Two rows as a request with its features looks; a family may shape its own with `example`."""
    shape = getattr(family, "example", None)
    if shape is not None:
        return shape(test)
    names = [name for name in (*family.card.entity, *family.card.features) if name in test.columns]
    return test.select(*names).limit(2).toPandas()


def _log_plot(scores: pd.DataFrame, metric: str) -> None:
    import mlflow
    from matplotlib.figure import Figure

    shown = scores[scores["metric"] == metric].pivot_table(index="segment", columns="contender", values="value")
    figure = Figure(figsize=(9, 4))
    axes = figure.subplots()
    shown.plot.bar(ax=axes, rot=0)
    axes.set_ylabel(metric)
    axes.set_title(f"{metric} by segment on the newest fold (lower is better)")
    figure.tight_layout()
    mlflow.log_figure(figure, f"plots/{metric}_by_segment.png")
