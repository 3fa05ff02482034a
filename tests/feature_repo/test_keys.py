"""Joined keys: one text per key, never the same text for two."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from feature_repo.keys import PAIR

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

parts = st.text(alphabet="|%7C125ab", max_size=6)


@given(st.lists(st.tuples(parts, parts), min_size=2, max_size=8, unique=True))
def test_different_pairs_have_different_texts(pairs: list[tuple[str, str]]) -> None:
    joined = PAIR.pandas(pd.DataFrame(pairs, columns=list(PAIR.columns)))
    assert joined.nunique() == len(pairs)


def test_spark_and_pandas_join_alike(spark: SparkSession) -> None:
    rows = [("1", "23"), ("12", "3"), ("a|b", "c|d"), ("a%7Cb", "%"), (None, "3"), ("", "")]
    frame = spark.createDataFrame(rows, "store_id string, product_id string").select("*", PAIR.spark()).toPandas()
    expected = PAIR.pandas(frame)
    assert frame["pair_id"].where(frame["pair_id"].notna(), None).tolist() == expected.astype(object).where(expected.notna(), None).tolist()
    assert frame["pair_id"][0] == "1|23"
