"""Tree ensembles of pyspark.ml in plain arrays: the same numbers without a JVM, proved row by row by the runner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

#: how the trees' leaves become the prediction: a weighted sum, its mean, class shares, or Spark's GBT classifier link
LINKS = ("sum", "mean", "shares", "logistic")

#: rows traversed at a time: bounds the memory of (rows x trees)
_ROWS = 8192


@dataclass(frozen=True)
class TreeEnsemble:
    """Nodes of all trees one after another; a leaf is its own left and right child.

    `feature`, `threshold`, `left`, `right` have shape (nodes,), `value` (nodes, outputs), `roots` and `weights` (trees,).
    A row goes left where `x[feature] <= threshold`. Spark's trees know no missing values: fill them before."""

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    value: np.ndarray
    roots: np.ndarray
    weights: np.ndarray
    link: str

    def __post_init__(self) -> None:
        if self.link not in LINKS:
            raise ValueError(f"link is {self.link!r}: expected one of {', '.join(LINKS)}")

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        """Regression: (rows,) values. Two classes: (rows,) probability of class 1. More classes: (rows, classes)
        probabilities. `matrix` is (rows, features) in the order of the Spark model's feature vector."""
        rows = np.atleast_2d(np.asarray(matrix, dtype=float))
        if not len(rows):
            return np.empty(0)
        return np.concatenate([self._linked(rows[start : start + _ROWS]) for start in range(0, len(rows), _ROWS)])

    def _linked(self, rows: np.ndarray) -> np.ndarray:
        reached = self.value[self._leaves(rows)]
        if self.link == "shares":
            shares = reached.sum(axis=1)
            shares = shares / shares.sum(axis=1, keepdims=True)
            return shares[:, 1] if shares.shape[1] == 2 else shares
        total = reached[:, :, 0] @ self.weights
        if self.link == "mean":
            return total / self.weights.sum()
        return 1.0 / (1.0 + np.exp(-2.0 * total)) if self.link == "logistic" else total

    def _leaves(self, rows: np.ndarray) -> np.ndarray:
        at = np.broadcast_to(self.roots, (len(rows), len(self.roots))).copy()
        line = np.arange(len(rows))[:, None]
        while True:
            goes_left = rows[line, self.feature[at]] <= self.threshold[at]
            onward = np.where(goes_left, self.left[at], self.right[at])
            if np.array_equal(onward, at):
                return at
            at = onward

    def save(self, folder: Path, name: str = "trees") -> None:
        """Write `<name>.npz` into an existing folder."""
        np.savez_compressed(folder / f"{name}.npz", **self.__dict__)

    @classmethod
    def load(cls, folder: Path, name: str = "trees") -> TreeEnsemble:
        """Read what `save` wrote."""
        with np.load(Path(folder) / f"{name}.npz") as arrays:
            return cls(**{key: arrays[key] for key in arrays.files if key != "link"}, link=str(arrays["link"]))

    @classmethod
    def from_spark(cls, model: Any) -> TreeEnsemble:
        """The arrays of a fitted pyspark.ml DecisionTree, RandomForest or GBT model, regression or classification;
        raises ValueError for another model or a categorical split (index the column as a number instead)."""
        kind = type(model).__name__
        link = _LINKS_OF.get(kind)
        if link is None:
            raise ValueError(f"{kind} is not a tree model: expected one of {', '.join(_LINKS_OF)}")
        trees = list(model.trees) if hasattr(model, "trees") else [model]
        weights = list(model.treeWeights) if hasattr(model, "treeWeights") else [1.0]
        return _flatten([tree._java_obj.rootNode() for tree in trees], weights, link, model)


_LINKS_OF = {
    "DecisionTreeRegressionModel": "sum",
    "DecisionTreeClassificationModel": "shares",
    "RandomForestRegressionModel": "mean",
    "RandomForestClassificationModel": "shares",
    "GBTRegressionModel": "sum",
    "GBTClassificationModel": "logistic",
}


def _flatten(roots: Sequence[Any], weights: Sequence[float], link: str, model: Any) -> TreeEnsemble:
    from pyspark.sql import SparkSession

    jvm = SparkSession.active()._jvm
    nodes: list[list] = []
    starts = [_walk(root, nodes, link == "shares", jvm) for root in roots]
    feature, threshold, left, right, values = zip(*nodes, strict=True)
    value = np.array(values, dtype=float).reshape(len(nodes), -1)
    if link == "shares":
        # a forest averages each tree's own class shares, so leaf counts are normalised tree by tree
        value = value / value.sum(axis=1, keepdims=True)
    return TreeEnsemble(
        np.array(feature, dtype=np.int32), np.array(threshold, dtype=float), np.array(left, dtype=np.int32),
        np.array(right, dtype=np.int32), value, np.array(starts, dtype=np.int32), np.array(weights, dtype=float), link,
    )  # fmt: skip


def _walk(root: Any, nodes: list[list], shares: bool, jvm: Any) -> int:
    """Append the nodes below `root` as [feature, threshold, left, right, value]; the position of the root."""
    start = len(nodes)
    nodes.append([0, np.inf, start, start, ()])
    todo = [(root, start)]
    while todo:
        node, at = todo.pop()
        nodes[at][4] = _leaf(node, shares, jvm)
        if node.subtreeDepth() == 0:
            continue
        split = node.split()
        if not split.getClass().getSimpleName().startswith("Continuous"):
            raise ValueError(f"feature {split.featureIndex()} is split by category: index it as a number without nominal metadata")
        nodes[at][:4] = [split.featureIndex(), split.threshold(), len(nodes), len(nodes) + 1]
        for child in (node.leftChild(), node.rightChild()):
            todo.append((child, len(nodes)))
            nodes.append([0, np.inf, len(nodes), len(nodes), ()])
    return start


def _leaf(node: Any, shares: bool, jvm: Any) -> tuple[float, ...]:
    if not shares:
        return (node.prediction(),)
    # one call for the whole array: py4j would fetch it number by number
    text = jvm.java.util.Arrays.toString(node.impurityStats().stats())
    return tuple(float(number) for number in text.strip("[]").split(","))
