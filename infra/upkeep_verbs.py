"""The verbs of upkeep: what there is, what is broken, what is missing, and what grows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from infra.console import progress, records, show
from infra.options import Json, values_of
from infra.running import patiently, spark_of
from infra.settings import load_settings

if TYPE_CHECKING:
    from infra.tables import Table


def status(as_json: Json = False) -> None:
    """What there is: tables and their versions, models and their aliases, the last report."""
    from monitoring.status import status as story

    show(story(load_settings()), as_json)


def query(
    name: Annotated[str | None, typer.Argument(help="A named query; all of them are listed unless given.")] = None,
    given: Annotated[list[str] | None, typer.Option("--with", metavar="NAME=VALUE", help="A value that it asks for; repeat.")] = None,
    as_json: Json = False,
) -> None:
    """Ask the warehouse a named question (infra/sql/queries), such as analytics_top_products."""
    from infra.warehouse import Warehouse, named_queries

    if name is None:
        show(named_queries(), as_json)
        return
    warehouse = Warehouse(load_settings().warehouse_url)
    warehouse.bootstrap()
    show(records(warehouse.named(name, values_of(given or []))), as_json)


def quality(
    accepted: Annotated[float, typer.Option(help="Least share of each topic's lines that is accepted.", min=0, max=1)] = 0.95,
    silent_stores: Annotated[int, typer.Option(help="Most stores that told nothing of the newest day.", min=0)] = 0,
    impossible_stock: Annotated[
        float, typer.Option(help="Largest share of days on which books contradict the shelf.", min=0, max=1)
    ] = 0.05,
    as_json: Json = False,
) -> None:
    """Whether the newest data can be decided on: each check with what it found; exit code 4 when one does not hold."""
    from monitoring.quality import Bounds
    from monitoring.quality import quality as story

    checks = story(load_settings(), Bounds(accepted, silent_stores, impossible_stock))
    show(checks, as_json)
    if not all(check.ok for check in checks):
        raise typer.Exit(4)


def doctor(fix: Annotated[bool, typer.Option("--fix", help="Mend what can be mended here.")] = False, as_json: Json = False) -> None:
    """Check Java, jars, home, disk and every service, and say how to mend each; exit code 3 when something is broken."""
    from infra.doctor import examine

    checks = examine(load_settings(), fix=fix)
    show(checks, as_json)
    if not all(check.ok for check in checks):
        raise typer.Exit(3)


def bootstrap(as_json: Json = False) -> None:
    """Make the topics, buckets, warehouse tables, feature registry and experiments that are missing, and say which; repeatable."""
    from data_ingest.contracts import TOPICS
    from feature_repo.store import applied, apply
    from infra.bootstrap import experiments, made_by, topics, warehouse_tables
    from infra.s3 import make_buckets
    from training.family import family_names

    settings = load_settings()
    parts = {
        "topics": lambda: topics(settings, TOPICS),
        "buckets": lambda: make_buckets(settings),
        "warehouse tables": lambda: warehouse_tables(settings),
        "experiments": lambda: experiments(settings, [f"shelfcast-{name}" for name in family_names()]),
    }
    made = {part: patiently(settings, make) for part, make in parts.items()}
    known = applied(settings)
    with spark_of(settings):
        made["features"] = [name for name in patiently(settings, lambda: apply(settings)) if name not in known]
    show([made_by(part, names) for part, names in made.items()], as_json)


def maintain(
    keep_hours: Annotated[int, typer.Option(help="Hours that files of older table versions are kept.")] = 168, as_json: Json = False
) -> None:
    """Compact the lake's small files, and remove those that no version still kept needs; beside `ingest --follow` and `watch` too."""
    from data_ingest import tables as events
    from feature_repo.tables import GOLD
    from infra.maintain import maintain as story
    from monitoring.tables import MONITORING
    from training.tables import DECISIONS

    settings = load_settings()
    every = (*events.BRONZE, *events.DIMENSIONS, *events.FACTS, *GOLD, *DECISIONS, *MONITORING)
    with spark_of(settings) as spark, progress() as say:
        show(patiently(settings, lambda: story(spark, settings, every, works, keep_hours=keep_hours, progress=say)), as_json)


def works(table: Table) -> Sequence[str]:
    """The works that write a table. Facts read what is landed: both have to be at rest for bronze; the others have one each."""
    from data_ingest import catalogue
    from data_ingest.landing import LANDING
    from data_ingest.tables import DIMENSIONS

    if table in DIMENSIONS:
        return (catalogue.DIMENSIONS,)
    return {"bronze": ("facts", LANDING), "decisions": (table.name,), "monitoring": (table.name,)}.get(table.layer, ("facts",))


#: in the order of the help
VERBS = (status, query, quality, doctor, bootstrap, maintain)
