"""The entity keys of the features. Feast gives an entity one join key and its Spark point-in-time query concatenates
several join keys without a separator ("1" + "23" = "12" + "3"), so a store-product pair has one text key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import Column

#: stands between the parts of a joined key; escaped inside all parts but the last, so that two keys never coincide
SEPARATOR = "|"
_ESCAPES = (("%", "%25"), (SEPARATOR, "%7C"))

#: the join key of a row that each view has online beside those of its entity: its `known_at` says until when the view is stored.
#: No entity has it: a request's keys are printable
STORED_UNTIL = "\x00"


@dataclass(frozen=True)
class Key:
    """An entity: its name and the columns that identify it in every table; `join_key` is what Feast joins on."""

    name: str
    columns: tuple[str, ...]

    @property
    def join_key(self) -> str:
        """The one column of Feast: the key column itself, or the joined text of several."""
        return self.columns[0] if len(self.columns) == 1 else f"{self.name}_id"

    def spark(self) -> Column:
        """The join key as a Spark expression over the key columns; null where one of them is."""
        from pyspark.sql import functions as F

        parts = [F.col(name).cast("string") for name in self.columns]
        for found, escaped in _ESCAPES:
            parts[:-1] = [F.replace(part, F.lit(found), F.lit(escaped)) for part in parts[:-1]]
        pieces = [piece for part in parts for piece in (F.lit(SEPARATOR), part)][1:]
        return F.concat(*pieces).alias(self.join_key)

    def pandas(self, frame: pd.DataFrame) -> pd.Series:
        """The join key of every row of `frame`, as text."""
        parts = [frame[name].astype("string") for name in self.columns]
        for found, escaped in _ESCAPES:
            parts[:-1] = [part.str.replace(found, escaped, regex=False) for part in parts[:-1]]
        joined = parts[0]
        for part in parts[1:]:
            joined = joined + SEPARATOR + part
        return joined.rename(self.join_key)


PAIR = Key("pair", ("store_id", "product_id"))
PRODUCT = Key("product", ("product_id",))
CUSTOMER = Key("customer", ("customer_id",))
