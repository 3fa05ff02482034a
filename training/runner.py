"""The training story of every family: point-in-time examples, rolling origins, baselines and tuned candidates on equal
terms, the best refitted and exported, its export proved equal, its gates judged, its version registered."""

from __future__ import annotations

import hashlib
import itertools
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from infra.errors import TooLittleHistory
from infra.lake import Lake
from infra.mark import Mark
from infra.registry import CHAMPION, Registry
from infra.settings import Settings
from infra.together import together
from infra.tracking import tracked_run
from training.family import Contender, Family, Fitted, Fold, load_family
from training.gates import Verdict, verdicts
from training.portable import Portable
from training.records import log_model, log_story
from training.tabular import in_order
from training.tuning import Tuned, pooled, race

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Progress = Callable[[int, int, str], None]

#: largest relative difference allowed between the Spark model and its portable export, any row
PARITY_TOLERANCE = 1e-4
#: rows of the newest fold on which the export is proved
PARITY_ROWS = 500


class ParityError(RuntimeError):
    """The portable model does not say what the Spark model says: nothing is registered."""


@dataclass(frozen=True)
class Trained:
    """What a training run ended with. `scores` has a row per contender, segment and metric on the newest fold."""

    family: str
    version: str
    run_id: str
    contender: str
    baseline: str
    passed: bool
    verdicts: Sequence[str]
    numbers: Mapping[str, float]
    reused: bool = False
    scores: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False)


def train(spark: SparkSession, settings: Settings, name: str, *, trials: int | None = None, progress: Progress | None = None) -> Trained:
    """Train, judge and register family `name`; its version becomes challenger when every gate passes.

    The newest fold is judged once, after tuning and selection on the older ones. Trained before on the same data by the
    same recipe space, the earlier version is returned."""
    family, registry, say = load_family(name), Registry(settings), progress or _silent
    fingerprint = _fingerprint(settings, family, trials or settings.tuning_trials)
    earlier = _already_trained(registry, name, fingerprint)
    if earlier:
        return earlier
    with tracked_run(settings, f"shelfcast-{name}", name, {"fingerprint": fingerprint}) as run_id:
        contenders = list(family.contenders())
        steps = 2 * len(contenders) + 4
        say(0, steps, f"{name}: examples")
        data = in_order(family.dataset(spark, settings)).localCheckpoint()
        folds = family.folds(data)
        _require_folds(name, folds)
        champion = _champion_recipe(registry, name)
        known = {champion["contender"]: champion["params"]} if champion else {}
        told = itertools.count(1)
        tuned = race(
            family, contenders, folds[:-1], trials or settings.tuning_trials, settings.seed, known,
            lambda step: say(next(told), steps, f"{name}: {step}"),
        )  # fmt: skip
        say(steps - 3, steps, f"{name}: judging on the newest fold")
        finalists = [t for t in tuned if t.finalist]
        frames = together([partial(_judge, family, t.contender, t.params, folds[-1]) for t in finalists])
        judged = {t.contender.name: frame for t, frame in zip(finalists, frames, strict=True)}
        baseline = min((t for t in tuned if t.contender.baseline), key=_value)
        rivals = _rivals(family, judged, baseline, champion, contenders, folds[-1])
        best, outcome = _winner(family, min(finalists, key=_value), baseline, judged, rivals)
        say(steps - 2, steps, f"{name}: refitting {best.contender.name}")
        fitted = best.contender.fit(data, best.params)
        portable = family.finish(fitted, data)
        gap = _prove(family, fitted, portable, folds[-1].test)
        say(steps - 1, steps, f"{name}: registering")
        numbers = _numbers(family, judged, best, baseline)
        scores = pd.concat([frame.assign(contender=key) for key, frame in judged.items()], ignore_index=True)
        recipe = {"contender": best.contender.name, "params": best.params}
        log_story(family, settings, tuned, folds, scores, recipe, [str(v) for v in outcome], gap)
        uri = log_model(portable, fitted, family, folds[-1].test, Lake(settings.lake_url), Path(tempfile.mkdtemp(dir=_scratch(settings))))
        spark.catalog.clearCache()  # the examples, and the samples of the folds
        version = registry.register(name, run_id, uri, numbers)
    passed = all(v.passed for v in outcome)
    if passed and version != registry.version(name, CHAMPION):
        registry.set_challenger(name, version)
    say(steps, steps, f"{name}: version {version}")
    return Trained(
        name, version, run_id, best.contender.name, baseline.contender.name, passed, [str(v) for v in outcome], numbers, False, scores
    )


def _value(tuned: Tuned) -> float:
    return tuned.value


def _judge(family: Family, contender: Contender, params: Mapping[str, Any], fold: Fold) -> pd.DataFrame:
    return family.judge(contender.fit(fold.train, params), fold)


def _winner(
    family: Family, best: Tuned, baseline: Tuned, judged: Mapping[str, pd.DataFrame], rivals: dict[str, pd.DataFrame]
) -> tuple[Tuned, list[Verdict]]:
    """The best of the tuning folds with its verdicts, or the baseline where the newest fold shows that it is not beaten."""
    outcome = verdicts(family.card.gates, judged[best.contender.name], rivals)
    if all(verdict.passed for verdict in outcome if verdict.gate.against == "baseline"):
        return best, outcome
    return baseline, verdicts(family.card.gates, judged[baseline.contender.name], rivals)


def _rivals(
    family: Family,
    judged: Mapping[str, pd.DataFrame],
    baseline: Tuned,
    champion: Mapping[str, Any],
    contenders: Sequence[Contender],
    fold: Fold,
) -> dict[str, pd.DataFrame]:
    """The baseline, and the champion's recipe fitted again on the same fold: the registered champion itself may have
    been trained on the days it would be judged on."""
    rivals = {"baseline": judged[baseline.contender.name]}
    if champion:
        recipe = next((c for c in contenders if c.name == champion["contender"]), None)
        # a champion of another release, whose recipe is none any more, cannot be judged again: no gate against it is passed
        rivals["champion"] = _judge(family, recipe, champion["params"], fold) if recipe else rivals["baseline"].iloc[:0]
    return rivals


def _prove(family: Family, fitted: Fitted, portable: Portable, test: DataFrame) -> float:
    # in a plan of its own: a `limit` behind a Python worker closes its pipe in the middle of an answer, and Spark prints that
    gap = family.parity(fitted, portable, test.limit(PARITY_ROWS).localCheckpoint())
    if not gap <= PARITY_TOLERANCE:
        raise ParityError(
            f"{family.card.name}: the portable model differs from the Spark model by {gap:.2g} (at most {PARITY_TOLERANCE:g})"
        )
    return gap


def _numbers(family: Family, judged: Mapping[str, pd.DataFrame], best: Tuned, baseline: Tuned) -> dict[str, float]:
    metrics = dict.fromkeys([family.card.metric, *(gate.metric for gate in family.card.gates)])
    own = {metric: pooled(judged[best.contender.name], metric) for metric in metrics}
    return own | {f"baseline_{metric}": pooled(judged[baseline.contender.name], metric) for metric in metrics}


def _fingerprint(settings: Settings, family: Family, trials: int) -> str:
    lake = Lake(settings.lake_url)
    seen = Mark.of(lake, family.sources).versions
    if not seen:
        lake.version(family.sources[0])  # says which step makes it
    recipe = {"trials": trials, "seed": settings.seed, "features": list(family.card.features), "code": _code()}
    return json.dumps({"lake": seen, **recipe}, sort_keys=True)


def _code() -> str:
    """A digest of what makes a model: another release may learn, judge or calibrate otherwise from the same data, and families
    share code."""
    rooms = [Path(__file__).parent, Path(__file__).parents[1] / "feature_repo"]
    files = sorted(file for room in rooms for file in room.rglob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def _already_trained(registry: Registry, name: str, fingerprint: str) -> Trained | None:
    for row in registry.models():
        if row["family"] != name:
            continue
        for version in reversed(row["versions"]):
            run = registry.client.get_run(registry.run_id(name, version))
            tags = run.data.tags
            if tags.get("fingerprint") == fingerprint:
                passed, said = tags["gates"] == "passed", json.loads(tags["verdicts"])
                if passed and version == row["versions"][-1] and version not in row["aliases"].values():
                    registry.set_challenger(name, version)  # a kill came between registering and this
                return Trained(
                    name, version, run.info.run_id, tags["contender"], tags["baseline"], passed, said, registry.numbers(name, version), True
                )
    return None


def _champion_recipe(registry: Registry, name: str) -> dict[str, Any]:
    version = registry.version(name, CHAMPION)
    if version is None:
        return {}
    tags = registry.client.get_run(registry.run_id(name, version)).data.tags
    return json.loads(tags["recipe"]) if "recipe" in tags else {"contender": None, "params": {}}


def _require_folds(name: str, folds: Sequence[Fold]) -> None:
    if len(folds) < 2:
        raise TooLittleHistory(
            f"{name}: {len(folds)} rolling origins fit into the history and at least 2 are needed: ingest more days first."
        )


def _scratch(settings: Settings) -> Path:
    folder = settings.home / "scratch"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _silent(done: int, total: int, label: str) -> None:
    return None
