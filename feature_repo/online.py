"""Features as they are now: the latest row of each key from the online store, without Spark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from feature_repo.definitions import service_features, service_key, service_references, service_types
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
        the key columns, the service's features, `found` (false: nothing is known of the key, all features null) and
        `known_at` (UTC, from when on the newest value was known). Raises BadInput naming a missing key column."""
        key = service_key(service)
        require_columns(keys, key.columns, f"the keys of {service}")
        wanted = key.pandas(keys).fillna("").astype(object).tolist()
        parts = [self._read(service, key.join_key, wanted[at : at + CHUNK_KEYS]) for at in range(0, len(wanted), CHUNK_KEYS)]
        values = parts[0] if len(parts) == 1 else pd.concat(parts or [_frame(service, {}, [])], ignore_index=True)
        values.index = keys.index
        for place, name in enumerate(key.columns):
            values.insert(place, name, keys[name].array)
        return values

    def _read(self, service: str, join_key: str, keys: list[str]) -> pd.DataFrame:
        # a new list of names each time: Feast keeps and, with Redis, has appended to the one it is given
        answer = self._store.get_online_features(features=service_references(service), entity_rows={join_key: keys})
        return _decoded(service, answer.proto)


def online(settings: Settings, keys: pd.DataFrame, service: str) -> pd.DataFrame:
    """One read by a reader of its own; see `OnlineFeatures.read`."""
    return OnlineFeatures(settings).read(service, keys)


def _decoded(service: str, answer: GetOnlineFeaturesResponse) -> pd.DataFrame:
    vectors = dict(zip(answer.metadata.feature_names.val, answer.results, strict=True))
    asked = {name: vectors[name] for name in service_features(service)}
    columns = {name: [_value(value) for value in vector.values] for name, vector in asked.items()}
    stamps = ([stamp.seconds for stamp in vector.event_timestamps] for vector in asked.values())
    seconds = [max(row) for row in zip(*stamps, strict=True)]
    return _frame(service, columns, seconds)


def _value(value: Any) -> Any:
    kind = value.WhichOneof("val")
    return None if kind is None else getattr(value, kind)


def _frame(service: str, columns: dict[str, list], seconds: list[int]) -> pd.DataFrame:
    # of arrays: a pandas series a column takes four times as long as the read from Redis
    dtypes = {name: np.float64 if kind == "double" else object for name, kind in service_types(service).items()}
    values = {name: np.array(columns.get(name, []), dtype=dtype) for name, dtype in dtypes.items()}
    # not by the status: for a key that it lacks, Feast's Redis store says that every value is present
    known = np.array(seconds, dtype="datetime64[s]")
    found = known > np.datetime64(0, "s")
    return pd.DataFrame({**values, FOUND: found, KNOWN_AT: np.where(found, known, np.datetime64("NaT")).astype("datetime64[ns]")})
