"""Events compared with each other: which ids are there already, and which returns have a purchase.

All but a few events of a batch need no closer look. Those that do, suspects, are found by the hashes of their ids, eight bytes
each, which are what every executor is given to look for in bronze."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import reduce
from typing import TYPE_CHECKING

from data_ingest.contracts import TOPICS
from data_ingest.rules import log_rules_of, verdict

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

#: a repeated event id is looked for in the months that come so near to the days of the batch's events of the topic
DUPLICATE_TIME = timedelta(days=62)
#: a return's purchase is looked for so far back
RETURN_TIME = timedelta(days=400)

_PURCHASE = ("basket_id", "product_id")


@contextmanager
def kept(frame: DataFrame) -> Iterator[DataFrame]:
    """The frame, computed once and kept while it is used."""
    frame.persist()
    try:
        yield frame
    finally:
        frame.unpersist()


@contextmanager
def cut(frame: DataFrame) -> Iterator[DataFrame]:
    """The frame, computed once and kept while it is used, without the plan that it came from: to plan that again in each query
    over a few lines takes longer than to compute them."""
    alone = frame.localCheckpoint()
    try:
        yield alone
    finally:
        alone._jdf.queryExecution().logical().rdd().unpersist(False)


def hashed(events: DataFrame) -> DataFrame:
    """Events with the hash `id_hash` of their topic and id."""
    return events.selectExpr("*", "xxhash64(topic, event_id) AS id_hash")


def twins(sound: DataFrame, known: DataFrame | None) -> DataFrame:
    """Hashes of ids that need a closer look, of `hashed` events: those twice in the batch (`event_id` null) and those in
    bronze (with the `topic` and `event_id` found there). The batch's hashes are broadcast: they are bounded by what a
    micro-batch takes, bronze is not."""
    from pyspark.sql import functions as F

    hashes = sound.select("id_hash")
    unnamed = ("CAST(NULL AS STRING) AS topic", "CAST(NULL AS STRING) AS event_id")
    twice = hashes.groupBy("id_hash").count().where("count > 1").selectExpr("id_hash", *unnamed)
    if known is None:
        return twice
    there = hashed(known.select("topic", "event_id")).join(F.broadcast(hashes), "id_hash", "left_semi")
    return twice.unionByName(there.distinct())


def closer(sound: DataFrame, found: DataFrame | None, returns: bool) -> tuple[DataFrame, DataFrame]:
    """`hashed` events parted into those that nothing is held against, and those to be compared: of the hashes of `twins`, if
    any, and, where there are `returns`, those."""
    from pyspark.sql import functions as F

    held = "event_type <=> 'return'" if returns else "false"
    if found is not None:
        hashes = F.broadcast(found.select("id_hash").distinct().withColumn("twin", F.lit(True)))
        sound, held = sound.join(hashes, "id_hash", "left"), f"{held} OR twin IS NOT NULL"
    return sound.where(f"NOT ({held})"), sound.where(held)


def compared(few: DataFrame, found: DataFrame | None, purchased: DataFrame | None) -> DataFrame:
    """The events to be compared, with their `verdict` by the rules that look at other events. `found` as `twins` tells it,
    `purchased` the pairs of `purchases`; None where there is nothing to compare with."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    order = Window.partitionBy("topic", "event_id").orderBy("position", "value")
    marked = few.withColumns({"copy": F.row_number().over(order), "seen": F.lit(False), "purchased": F.lit(True)})
    if found is not None:
        there = found.where("event_id IS NOT NULL").select("topic", "event_id", F.lit(True).alias("there"))
        marked = marked.join(F.broadcast(there), ["topic", "event_id"], "left").withColumn("seen", F.coalesce("there", F.lit(False)))
    if purchased is not None:
        bought = purchased.withColumn("bought", F.lit(True))
        marked = marked.join(F.broadcast(bought), list(_PURCHASE), "left").withColumn("purchased", F.coalesce("bought", F.lit(False)))
    verdicts = " ".join(f"WHEN '{topic.name}' THEN {verdict(log_rules_of(topic))}" for topic in TOPICS.values())
    return marked.withColumn("verdict", F.expr(f"CASE topic {verdicts} END")).select(*few.columns, "verdict")


def purchases(sound: DataFrame, known: DataFrame | None) -> DataFrame:
    """The (basket_id, product_id) of the batch's returns that were purchased, in the batch or before; each once."""
    from pyspark.sql import functions as F

    sources = [sound] if known is None else [sound, known]
    bought = [frame.where("topic = 'sales' AND event_type = 'purchase'").select(*_PURCHASE) for frame in sources]
    wanted = F.broadcast(sound.where("event_type = 'return'").select(*_PURCHASE))
    return reduce(lambda a, b: a.unionByName(b), bought).join(wanted, list(_PURCHASE), "left_semi").distinct()
