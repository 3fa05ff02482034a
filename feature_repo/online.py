"""Features as they are now: the latest row of each key from the online store, without Spark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from feature_repo.definitions import service_features, service_key, service_references, service_types, service_views
from feature_repo.keys import STORED_UNTIL
from feature_repo.store import online_feature_store
from infra.settings import Settings
from infra.tables import require_columns

if TYPE_CHECKING:
    from feast.protos.feast.serving.ServingService_pb2 import GetOnlineFeaturesResponse

#: keys asked for at once: embedded stores bound the parameters of a statement
CHUNK_KEYS = 5_000
#: the columns that `read` adds to the features
FOUND, KNOWN_AT = "found", "known_at"


class OnlineFeatures:
    """A warm reader: opened once, used for every request. Raises NotReady where no features were ever applied."""

    def __init__(self, settings: Settings) -> None:
        self._store = online_feature_store(settings)

    def read(self, service: str, keys: pd.DataFrame) -> pd.DataFrame:
        """A row for each row of `keys` (the entity's key columns; others are ignored), in its order and with its index:
        the key columns, the service's features, `found` (false: nothing is known of the key, or nothing that is
        not older than its view's `max_age`; all features null) and `known_at` (UTC, from when on the newest value, too old
        or not, was known). Ages are counted to the moment of the last `materialize`, so that a replay of old days is not stale.
        Raises BadInput naming a missing key column."""
        key = service_key(service)
        require_columns(keys, key.columns, f"the keys of {service}")
        wanted = key.pandas(keys).fillna("").astype(object).tolist()
        parts = [self._read(service, key.join_key, wanted[at : at + CHUNK_KEYS]) for at in range(0, max(len(wanted), 1), CHUNK_KEYS)]
        values = parts[0] if len(parts) == 1 else pd.concat(parts, ignore_index=True)
        values.index = keys.index
        for place, name in enumerate(key.columns):
            values.insert(place, name, keys[name].array)
        return values

    def _read(self, service: str, join_key: str, keys: list[str]) -> pd.DataFrame:
        # a new list of names each time: Feast keeps and, with Redis, has appended to the one it is given
        answer = self._store.get_online_features(features=service_references(service), entity_rows={join_key: [*keys, STORED_UNTIL]})
        return _decoded(service, answer.proto)


def online(settings: Settings, keys: pd.DataFrame, service: str) -> pd.DataFrame:
    """One read by a reader of its own; see `OnlineFeatures.read`."""
    return OnlineFeatures(settings).read(service, keys)


def _decoded(service: str, answer: GetOnlineFeaturesResponse) -> pd.DataFrame:
    """The rows of an answer but for its last, the moment up to which each view is stored: as in the point-in-time join of
    `history`, a value that was older than its view's `max_age` at that moment is none."""
    vectors = dict(zip(answer.metadata.feature_names.val, answer.results, strict=True))
    columns = {name: [_value(value) for value in vectors[name].values[:-1]] for name in service_features(service)}
    frame = _frame(service, columns)
    # not by the status: for a key that it lacks, Feast's Redis store says that every value is present
    newest, fresh = np.zeros(len(frame), dtype=np.int64), np.zeros(len(frame), dtype=bool)
    for view, names in service_views(service):
        # a view's features are rows: all have the times of the first
        *seconds, until = (stamp.seconds for stamp in vectors[names[0]].event_timestamps)
        known = np.array(seconds, dtype=np.int64)
        stale = known < until - view.max_age.total_seconds()
        if stale.any():
            frame.loc[stale, list(names)] = None
        newest, fresh = np.maximum(newest, known), fresh | ((known > 0) & ~stale)
    at = newest.astype("datetime64[s]")
    return frame.assign(**{FOUND: fresh, KNOWN_AT: np.where(newest > 0, at, np.datetime64("NaT")).astype("datetime64[ns]")})


def _value(value: Any) -> Any:
    kind = value.WhichOneof("val")
    return None if kind is None else getattr(value, kind)


def _frame(service: str, columns: dict[str, list]) -> pd.DataFrame:
    # of arrays: a pandas series a column takes four times as long as the read from Redis
    dtypes = {name: np.float64 if kind == "double" else object for name, kind in service_types(service).items()}
    return pd.DataFrame({name: np.array(columns.get(name, []), dtype=dtype) for name, dtype in dtypes.items()})
