"""From request items to response items: checked, features looked up online, predicted together, answered one by one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from serving.contract import plain, problem
from training.family import Card
from training.portable import Portable

#: `(feature service, key frame) -> one row a key, in order, with a boolean column found`
ReadOnline = Callable[[str, pd.DataFrame], pd.DataFrame]

log = logging.getLogger("shelfcast.serving")


def answer(card: Card, model: Portable, read_online: ReadOnline, items: Sequence[Any]) -> tuple[list[dict[str, Any]], pd.DataFrame]:
    """One response a request item, in order, and the frame the model saw. A bad item is answered by its error and never
    disturbs the others."""
    errors = {i: said for i, item in enumerate(items) if (said := problem(card.request, item))}
    frame, unknown = model_frame(card, read_online, {i: item for i, item in enumerate(items) if i not in errors})
    errors |= unknown
    predicted, failed = _predict(card, model, frame)
    errors |= failed
    return [_response(errors, predicted, i) for i in range(len(items))], frame


def model_frame(card: Card, read_online: ReadOnline, items: dict[int, dict[str, Any]]) -> tuple[pd.DataFrame, dict[int, str]]:
    """The items as rows (indexed by their position) with every request field and the card's online features; items whose
    keys have no features are left out and named with a sentence."""
    rows = [[item.get(name) for name in card.request] for item in items.values()]
    frame = pd.DataFrame(rows, columns=list(card.request), index=pd.Index(list(items), dtype="int64"))
    for name, kind in card.request.items():
        if kind.startswith("date"):
            frame[name] = pd.to_datetime(frame[name])
        elif kind.startswith("number") or kind == "integer?":
            frame[name] = frame[name].astype("float64")
    if not card.feature_service or frame.empty:
        return frame, {}
    return _with_features(card, read_online, frame)


def _with_features(card: Card, read_online: ReadOnline, frame: pd.DataFrame) -> tuple[pd.DataFrame, dict[int, str]]:
    entity = list(card.entity)
    keys = frame[entity].drop_duplicates().reset_index(drop=True)
    features = read_online(card.feature_service, keys)
    found = features.pop("found").astype(bool).to_numpy()
    # what the request states about the moment (a price, a promotion) is newer than what was stored
    new = [name for name in features.columns if name not in frame.columns]
    known = pd.concat([keys, features[new].reset_index(drop=True)], axis=1)[found]
    joined = frame.reset_index(names="_position").merge(known, on=entity, how="inner").set_index("_position").sort_index()
    joined.index.name = None
    missing = frame.index.difference(joined.index)
    said = {int(i): f"{_key(frame, i, entity)} is not known: no features of it are online." for i in missing}
    return joined, said


def _key(frame: pd.DataFrame, position: int, entity: list[str]) -> str:
    return ", ".join(f"{name} {frame.at[position, name]!r}" for name in entity)


def _predict(card: Card, model: Portable, frame: pd.DataFrame) -> tuple[dict[int, list[dict[str, Any]]], dict[int, str]]:
    """Response rows by position; when the batch fails it is halved until the rows that fail stand alone."""
    if frame.empty:
        return {}, {}
    try:
        return response_rows(card, frame, model.predict(frame.reset_index(drop=True))), {}
    except Exception as error:  # a model may fail in any way on one row; the others must be answered
        if len(frame) == 1:
            log.warning("%s could not answer an item: %s: %s", card.name, type(error).__name__, error)
            return {}, {int(frame.index[0]): f"the model could not answer this item: {type(error).__name__}."}
    middle = len(frame) // 2
    left, failed_left = _predict(card, model, frame.iloc[:middle])
    right, failed_right = _predict(card, model, frame.iloc[middle:])
    return {**left, **right}, {**failed_left, **failed_right}


def response_rows(card: Card, frame: pd.DataFrame, predicted: pd.DataFrame) -> dict[int, list[dict[str, Any]]]:
    """The model's rows by the position of the item they answer, cut to the card's response; raises ValueError when a
    response field is missing, an item is out of range, or a number of a required field is not one."""
    fields = [name for name in card.response if name in predicted.columns or not card.response[name].endswith("?")]
    lacking = [name for name in ("item", *fields) if name not in predicted.columns]
    if lacking:
        raise ValueError(f"the model gave no column {lacking[0]!r}")
    positions = predicted["item"].to_numpy(dtype="int64")
    if len(positions) and (positions.min() < 0 or positions.max() >= len(frame)):
        raise ValueError(f"the model answered item {positions.max()} of {len(frame)}")
    records = predicted[fields].to_dict("records")
    out: dict[int, list[dict[str, Any]]] = {}
    for position, record in zip(positions, records, strict=True):
        row = {str(name): plain(value) for name, value in record.items()}
        hollow = next((n for n, kind in card.response.items() if row.get(n) is None and kind in ("number", "integer")), None)
        if hollow:
            raise ValueError(f"the model gave no finite {hollow}")
        out.setdefault(int(frame.index[position]), []).append(row)
    return out


def _response(errors: dict[int, str], predicted: dict[int, list[dict[str, Any]]], position: int) -> dict[str, Any]:
    if position in errors:
        return {"ok": False, "error": errors[position]}
    return {"ok": True, "results": predicted.get(position, [])}
