"""From request items to response items: checked, features looked up online, predicted together, answered one by one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from feature_repo.online import FOUND, KNOWN_AT
from feature_repo.shut import OFF_SHELF_DAYS, SHUT_DAYS, off_shelf
from infra.errors import BadInput, BadRows
from serving.contract import Kind, kind_of, plain, problem
from training.family import Card
from training.portable import Portable

#: `(feature service, key frame) -> one row a key, in order, with the columns that feature_repo.online.OnlineFeatures.read adds`
ReadOnline = Callable[[str, pd.DataFrame], pd.DataFrame]

#: columns of our own beside request fields and features
_POSITION, _STORED = "_position", "_stored"
_DAY = "%Y-%m-%d"
#: rows of a request that are tried alone when a model fails and does not say on which: a list of bad ones must not hold up the service
MOST_ALONE = 64
_PAIR = ["store_id", "product_id"]

log = logging.getLogger("shelfcast.serving")


def answer(card: Card, model: Portable, read_online: ReadOnline, items: Sequence[Any]) -> tuple[list[dict[str, Any]], pd.DataFrame]:
    """One response a request item, in order, and the rows that the model could answer. A bad item is answered by its error and
    never disturbs the others."""
    errors = {i: said for i, item in enumerate(items) if (said := problem(card.request, item))}
    frame, unknown = model_frame(card, read_online, {i: item for i, item in enumerate(items) if i not in errors})
    errors |= unknown
    predicted, failed = _predict(card, model, frame)
    errors |= failed
    if failed:
        log.warning("%s could not answer %d of %d items; the first: %s", card.name, len(failed), len(items), next(iter(failed.values())))
    ages = _ages(frame)
    return [_response(errors, predicted, ages, i) for i in range(len(items))], frame.drop(index=list(failed))


def model_frame(card: Card, read_online: ReadOnline, items: dict[int, dict[str, Any]]) -> tuple[pd.DataFrame, dict[int, str]]:
    """The items as rows (indexed by their position) with every request field and the card's online features; items whose
    keys have no features or too old ones, whose store has shut where that counts, or which lack a field that is not stored either,
    are left out and named with a sentence."""
    rows = [[item.get(name) for name in card.request] for item in items.values()]
    frame = pd.DataFrame(rows, columns=list(card.request), index=pd.Index(list(items), dtype="int64"))
    for name, text in card.request.items():
        kind = kind_of(text)
        if kind.base == "date":
            frame[name] = pd.to_datetime(frame[name])
        elif kind.base == "number" or (kind.base == "integer" and kind.optional):
            frame[name] = frame[name].astype("float64")
    if not card.feature_service or frame.empty:
        return frame, {}
    return _with_features(card, read_online, frame)


def _with_features(card: Card, read_online: ReadOnline, frame: pd.DataFrame) -> tuple[pd.DataFrame, dict[int, str]]:
    entity = list(card.entity)
    keys = frame[entity].drop_duplicates().reset_index(drop=True)
    features = read_online(card.feature_service, keys)
    found = features.pop(FOUND).astype(bool).to_numpy()
    stored = features.drop(columns=entity).reset_index(drop=True)
    known = pd.concat([keys, stored], axis=1)[found]
    joined = frame.reset_index(names=_POSITION).merge(known, on=entity, how="inner", suffixes=("", _STORED))
    joined = joined.set_index(_POSITION).sort_index().rename_axis(None)
    # what the request states about the moment (a price, what is on the shelf) is newer than what was stored
    for name in set(frame.columns) & set(stored.columns):
        joined[name] = joined[name].where(joined[name].notna(), joined.pop(name + _STORED))
    missing = frame.index.difference(joined.index)
    last = dict(zip(keys.itertuples(index=False, name=None), features[KNOWN_AT], strict=True))
    said = {int(i): _unknown(frame, i, entity, last) for i in missing}
    lacking = _lacking(card, joined) | (_shut(joined) if card.on_sale_only else {})
    return joined.drop(index=list(lacking)), said | lacking


def _unknown(frame: pd.DataFrame, position: int, entity: list[str], last: Mapping[tuple[Any, ...], pd.Timestamp]) -> str:
    """Why there is nothing to answer a row from; `last`: when the newest value of each key was known, if any ever was."""
    known_at = last[tuple(frame.loc[position, entity])]
    if pd.isna(known_at):
        return f"{_key(frame, position, entity)} is not known: no features of it are online."
    return f"{_key(frame, position, entity)} is no longer known: its features online are of {known_at:{_DAY}}, which is too long ago."


def _shut(frame: pd.DataFrame) -> dict[int, str]:
    """A sentence for each row whose store has shut or that has left the shelf."""
    shut, gone = frame.index[frame["store_shut"] > 0], frame.index[off_shelf(frame)]
    left = {int(i): f"{_key(frame, i, _PAIR)} was on offer for no hour of the last {OFF_SHELF_DAYS} days." for i in gone}
    return left | {
        int(i): f"store_id {frame.at[i, 'store_id']!r} has shut: of the last {SHUT_DAYS} days all that were heard of were closed."
        for i in shut
    }


def _ages(frame: pd.DataFrame) -> dict[int, str]:
    """When the features of each row were known, where it has some (ISO 8601, UTC)."""
    return dict(zip(frame.index, frame[KNOWN_AT].dt.strftime(f"{_DAY}T%H:%M:%SZ"), strict=True)) if KNOWN_AT in frame else {}


def _lacking(card: Card, frame: pd.DataFrame) -> dict[int, str]:
    """A sentence for each row that lacks a field which was neither given nor stored."""
    said: dict[int, str] = {}
    for name, kind in ((name, kind_of(text)) for name, text in card.request.items()):
        for i in frame.index[frame[name].isna()] if kind.stored else ():
            told = f"{name} is neither given nor stored for {_key(frame, i, list(card.entity))}: expected {kind.called}."
            said.setdefault(int(i), told)
    return said


def _key(frame: pd.DataFrame, position: int, entity: list[str]) -> str:
    return ", ".join(f"{name} {frame.at[position, name]!r}" for name in entity)


def _predict(card: Card, model: Portable, frame: pd.DataFrame) -> tuple[dict[int, list[dict[str, Any]]], dict[int, str]]:
    """Response rows by position, and a sentence for each row that cannot be answered. A batch in which a model names the bad rows is
    asked again without them; one that fails without a name is halved until its bad rows stand alone, MOST_ALONE of them at most."""
    answered: dict[int, list[dict[str, Any]]] = {}
    failed: dict[int, str] = {}
    alone, parts = 0, [frame]
    while parts:
        part = parts.pop()
        if part.empty:
            continue
        try:
            answered |= response_rows(card, part, model.predict(part.reset_index(drop=True)))
        except BadRows as bad:
            failed |= {int(part.index[at]): said for at, said in bad.rows.items()}
            parts.append(part.drop(index=part.index[list(bad.rows)]))
        except Exception as error:  # a model may fail in any way on one row; the others must be answered
            if len(part) > 1 and alone < MOST_ALONE:
                parts += [part.iloc[: len(part) // 2], part.iloc[len(part) // 2 :]]
                continue
            alone += 1
            log.debug("%s could not answer an item", card.name, exc_info=error)
            said = str(error) if isinstance(error, BadInput) else f"the model could not answer this item: {type(error).__name__}."
            failed |= {int(position): said for position in part.index}
    return answered, failed


def response_rows(card: Card, frame: pd.DataFrame, predicted: pd.DataFrame) -> dict[int, list[dict[str, Any]]]:
    """The model's rows by the position of the item they answer, cut to the card's response; raises ValueError when a
    response field is missing, an item is out of range, or a number of a required field is not one."""
    fields = [name for name in card.response if name in predicted.columns or not kind_of(card.response[name]).optional]
    lacking = [name for name in ("item", *fields) if name not in predicted.columns]
    if lacking:
        raise ValueError(f"the model gave no column {lacking[0]!r}")
    positions = predicted["item"].to_numpy(dtype="int64")
    if len(positions) and (positions.min() < 0 or positions.max() >= len(frame)):
        raise ValueError(f"the model answered item {positions.max()} of {len(frame)}")
    columns = [_values(predicted[name], name, kind_of(card.response[name])) for name in fields]
    out: dict[int, list[dict[str, Any]]] = {}
    for position, *row in zip(positions.tolist(), *columns, strict=True):
        out.setdefault(int(frame.index[position]), []).append(dict(zip(fields, row, strict=True)))
    return out


def _values(column: pd.Series, name: str, kind: Kind) -> list[Any]:
    """A column as JSON values; raises ValueError where a number that must be there is none."""
    told = column.tolist() if column.dtype.kind in "iub" else [plain(value) for value in column.tolist()]
    if kind.base in ("number", "integer") and not kind.optional and any(value is None for value in told):
        raise ValueError(f"the model gave no finite {name}")
    return told


def _response(errors: dict[int, str], predicted: dict[int, list[dict[str, Any]]], ages: dict[int, str], position: int) -> dict[str, Any]:
    if position in errors:
        return {"ok": False, "error": errors[position]}
    if not predicted.get(position):
        return {"ok": False, "error": "there is no answer: nothing is known of this item yet."}
    age = {KNOWN_AT: ages[position]} if position in ages else {}
    return {"ok": True, **age, "results": predicted[position]}
