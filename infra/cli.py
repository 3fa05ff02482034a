"""The command line, and the composition root: with `file_verbs` and `upkeep_verbs`, what of infra reaches up, lazily, verb by
verb."""

from __future__ import annotations

import getpass
import sys
from datetime import date
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from infra import file_verbs, upkeep_verbs
from infra.console import complaints, console, only_what_a_user_can_act_on, progress, show, tell
from infra.errors import BadInput, NothingToDo, NotReady, TooLittleHistory, refused_by_storage, without_credentials
from infra.options import Day, FamilyName, Json, Who, Why, at_least_one, day_of, mapping_of
from infra.patience import absence
from infra.running import patiently, spark_of
from infra.settings import load_settings
from infra.stack.commands import stack

app = typer.Typer(
    help="Shelfcast turns a retailer's events into decisions. The verbs are in the order of the story; "
    "exit codes: 0 done, 2 bad input, 3 an earlier step or a service is missing, 4 a check of `quality` does not hold, "
    "5 there is nothing to do yet, 130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

EVENTS, MODELS, DECISIONS, FILES, UPKEEP = "Events", "Models", "Decisions", "Your own files, no event bus", "Upkeep"


def main() -> None:
    """Run one verb and leave with an exit code that means something."""
    only_what_a_user_can_act_on()
    try:
        app()
    except Exception as error:
        said = error if isinstance(error, (BadInput, NotReady)) else refused_by_storage(error) or absence(load_settings(), error)
        if said is None:
            raise
        kind = "Bad input" if isinstance(said, BadInput) else "Nothing to do" if isinstance(said, NothingToDo) else "Not ready"
        complaints.print(f"[red]{kind}:[/] {escape(without_credentials(str(said)))}", highlight=False, soft_wrap=True)
        sys.exit(said.exit_code)


# Events --------------------------------------------------------------------------------------------------------------


@app.command(rich_help_panel=EVENTS)
def simulate(
    stores: int = 5,
    products: int = 50,
    days: int = 180,
    seed: int = 1,
    start: Annotated[str, typer.Option(metavar="YYYY-MM-DD")] = "2024-01-01",
    as_json: Json = False,
) -> None:
    """Write the events of a made-up retailer whose latent demand is known."""
    from data_ingest.simulator import simulate as story

    for name, value in (("stores", stores), ("products", products), ("days", days)):
        at_least_one(name, value)
    first = day_of(start, "--start") or date(2024, 1, 1)
    settings = load_settings()
    with spark_of(settings) as spark, progress() as say:
        written = partial(story, spark, settings, stores=stores, products=products, days=days, seed=seed, start=first, progress=say)
        show(patiently(settings, written), as_json)


@app.command(rich_help_panel=EVENTS)
def replay(
    start: Day = None,
    end: Day = None,
    pairs: Annotated[int | None, typer.Option(help="Only the busiest store-product pairs.")] = None,
    rate: Annotated[float | None, typer.Option(help="Events a second; as fast as can be unless given.")] = None,
    as_json: Json = False,
) -> None:
    """Write the real sales of Complete Journey as events, with a simulated shelf around them."""
    from data_ingest.replay import replay as story

    if pairs is not None:
        at_least_one("pairs", pairs)
    if rate is not None and rate <= 0:
        raise BadInput(f"--rate is {rate:g}: expected more than 0 events a second")
    settings, first, last = load_settings(), day_of(start, "--start"), day_of(end, "--end")
    with spark_of(settings) as spark, progress() as say:
        written = partial(story, spark, settings, start=first, end=last, pairs=pairs, rate=rate, progress=say)
        show(patiently(settings, written), as_json)


@app.command("import", rich_help_panel=EVENTS)
def import_(
    path: Annotated[Path, typer.Argument(help="CSV or parquet of sale lines or stock rows.")],
    kind: Annotated[str, typer.Option(help="sales or stock")] = "sales",
    column: Annotated[list[str] | None, typer.Option("--column", "-c", help="field=column of your file; repeat.")] = None,
    utc_offset_hours: float = 0.0,
    source: str = "import",
    unique_baskets: Annotated[
        bool,
        typer.Option(
            "--unique-baskets", help="Take basket_id as it is: no two baskets share one. Else it is a number of its store and day."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Write your own file's rows as events."""
    from data_ingest.csv_import import import_csv

    settings, mapping = load_settings(), mapping_of(column or [])
    with spark_of(settings) as spark:
        written = partial(
            import_csv, spark, settings, path, kind=kind, mapping=mapping, utc_offset_hours=utc_offset_hours, source=source,
            unique_baskets=unique_baskets,
        )  # fmt: skip
        show(patiently(settings, written), as_json)


@app.command(rich_help_panel=EVENTS)
def ingest(
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on as events come, until stopped; leaves the daily facts to `facts`.")
    ] = False,
    again: Annotated[
        str | None, typer.Option("--again", metavar="RULE", help="First put what this rule has set aside back to the log.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Stream what is new in the event log through the quality rules into lake and warehouse, then bring the daily facts up to date."""
    from data_ingest.facts import facts
    from data_ingest.ingest import ingest as story
    from data_ingest.quarantine import replay_quarantine, require_rule

    settings = load_settings()
    if again is not None:
        require_rule(again)
    with spark_of(settings) as spark, progress() as say:
        if again is not None:
            tell(f"lines that {again} had set aside, in the log again: {replay_quarantine(spark, settings, again):,}")
        read = story(spark, settings, available_now=not follow, progress=say, tell=tell)
        made = patiently(settings, lambda: facts(spark, settings, progress=say))
        show({"ingest": read, "facts": made}, as_json)


@app.command(rich_help_panel=EVENTS)
def facts(as_json: Json = False) -> None:
    """Bring the daily facts up to date with what was ingested; for use beside `ingest --follow`."""
    from data_ingest.facts import facts as story

    settings = load_settings()
    with spark_of(settings) as spark, progress() as say:
        show(patiently(settings, lambda: story(spark, settings, progress=say)), as_json)


@app.command(rich_help_panel=EVENTS)
def features(
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Make every day again, and store the newest values online again.")] = False,
    as_json: Json = False,
) -> None:
    """Bring the feature tables up to date with the facts, and the online store with them."""
    from feature_repo.build import build_features

    settings = load_settings()
    with spark_of(settings) as spark, progress() as say:
        show(patiently(settings, lambda: build_features(spark, settings, rebuild=rebuild, progress=say)), as_json)


# Models --------------------------------------------------------------------------------------------------------------


@app.command(rich_help_panel=MODELS)
def train(
    family: FamilyName, trials: Annotated[int | None, typer.Option(help="Optuna trials a candidate.")] = None, as_json: Json = False
) -> None:
    """Train, tune, judge and register a family (or `all`); it becomes challenger when its gates pass."""
    from training.runner import train as story

    if trials is not None:
        at_least_one("trials", trials)
    settings, names, trained = load_settings(), _families(family), []
    with spark_of(settings) as spark, progress() as say:
        for name in names:
            try:
                trained.append(patiently(settings, partial(story, spark, settings, name, trials=trials, progress=say)))
            except TooLittleHistory as missing:
                if len(names) == 1:
                    raise
                tell(f"{missing} It is left out of this run.")
    show(trained if family == "all" else trained[0], as_json)


@app.command(rich_help_panel=MODELS)
def promote(
    family: FamilyName,
    why: Why,
    who: Who = "",
    version: Annotated[str | None, typer.Option(help="Default: the challenger.")] = None,
    unattended: Annotated[
        bool,
        typer.Option(
            "--unattended", help="For schedules: only what the last training brought, and never over a rollback; else exit code 5."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Make the challenger (or a named version) champion; the service follows without restart."""
    from infra.registry import Registry

    _families(family)
    if unattended and version is not None:
        raise BadInput("--unattended and --version: a schedule promotes what the last training brought; expected one of them")
    registry = Registry(load_settings())
    chosen = registry.newest_challenger(family) if unattended else version
    show(registry.promote(family, chosen, who or getpass.getuser(), why), as_json)


@app.command(rich_help_panel=MODELS)
def rollback(family: FamilyName, why: Why, who: Who = "", as_json: Json = False) -> None:
    """Go back to the previous champion."""
    from infra.registry import Registry

    _families(family)
    show(Registry(load_settings()).rollback(family, who or getpass.getuser(), why), as_json)


@app.command(rich_help_panel=MODELS)
def history(family: FamilyName, as_json: Json = False) -> None:
    """Every promotion and rollback of a family: who, why, from, to, on what numbers."""
    from infra.registry import Registry

    registry = Registry(load_settings())
    show([move for name in _families(family) for move in registry.history(name)], as_json)


# Decisions -----------------------------------------------------------------------------------------------------------


@app.command(rich_help_panel=DECISIONS)
def score(
    family: Annotated[str, typer.Argument(help="A family, or all.")] = "all",
    day: Annotated[
        str | None,
        typer.Option(metavar="YYYY-MM-DD", help="A past day that has no decisions, by its features and its champion; else exit code 5."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Fill today's decision tables by the champions: forecasts, orders, alerts, slow movers, recommendations."""
    from training.fill_in import fill_in
    from training.score import score as story

    settings, names, past = load_settings(), None if family == "all" else _families(family), day_of(day, "--day")
    if past is not None and names is None:
        raise BadInput(f"--day is {past} and no family is named: expected one of them, such as `shelfcast score demand --day {past}`")
    with spark_of(settings) as spark, progress() as say:
        if past is not None:
            show(patiently(settings, partial(fill_in, spark, settings, family, past)), as_json)
            return
        show(patiently(settings, lambda: story(spark, settings, names, progress=say)), as_json)


@app.command(rich_help_panel=DECISIONS)
def watch(
    follow: Annotated[bool, typer.Option("--follow", help="Go on as sales land, until stopped; for use beside `ingest --follow`.")] = False,
    as_json: Json = False,
) -> None:
    """Judge the days that newly landed sales touch, without waiting for their end; `score` judges whole days."""
    from training.anomaly.stream import watch as story

    settings = load_settings()
    with spark_of(settings) as spark, progress() as say:
        show(patiently(settings, lambda: story(spark, settings, available_now=not follow, progress=say)), as_json)


@app.command(rich_help_panel=DECISIONS)
def serve() -> None:
    """Serve the champions over HTTP; promotions are followed without restart."""
    from serving.service import serve as story

    raise typer.Exit(story(load_settings()))


@app.command(rich_help_panel=DECISIONS)
def report(as_json: Json = False) -> None:
    """Write the drift and accuracy report, and say what the policy makes of it."""
    from monitoring.report import report as story

    settings = load_settings()
    with spark_of(settings) as spark, progress() as say:
        show(patiently(settings, lambda: story(settings, spark, progress=say)), as_json)


@app.command(rich_help_panel=DECISIONS)
def pipeline(
    pairs: Annotated[int | None, typer.Option(help="Only the busiest store-product pairs: a smaller story, sooner told.")] = None,
    as_json: Json = False,
) -> None:
    """The whole story on real data: replay, ingest, features, train, promote, score, report, and a summary to read."""
    from data_ingest.facts import facts
    from data_ingest.ingest import ingest
    from data_ingest.replay import replay
    from feature_repo.build import build_features
    from infra.registry import Registry
    from monitoring.report import report
    from monitoring.summary import NEXT, summary
    from training.runner import train
    from training.score import ORDER, score

    if pairs is not None:
        at_least_one("pairs", pairs)
    settings = load_settings()
    registry = Registry(settings)
    with spark_of(settings) as spark, progress() as say:
        patiently(settings, lambda: replay(spark, settings, pairs=pairs, progress=say))
        ingest(spark, settings, progress=say, tell=tell)
        patiently(settings, lambda: facts(spark, settings, progress=say))
        patiently(settings, lambda: build_features(spark, settings, progress=say))
        for name in ORDER:
            try:
                trained = patiently(settings, partial(train, spark, settings, name, progress=say))
            except TooLittleHistory as missing:
                tell(f"{missing} It is left out of this run.")
                continue
            if trained.passed and registry.version(name, "challenger") == trained.version:
                try:
                    registry.promote(name, registry.newest_challenger(name), "pipeline", "; ".join(trained.verdicts))
                except NothingToDo as kept:  # somebody rolled back: the champion stays, and the day goes on
                    tell(str(kept))
        chosen = [name for name in ORDER if registry.version(name, "champion")]
        patiently(settings, lambda: score(spark, settings, chosen, progress=say))
        written = patiently(settings, lambda: report(settings, spark, progress=say))
    sections = summary(settings)
    if as_json:
        show({"sections": sections, "report": written}, True)
        return
    for section in sections:
        console.print(f"\n[bold]{section.title}[/]")
        show(section.rows, False)
    console.print(f"\n[bold]Report[/] {written.page}\n{escape(written.headline)}\n\n[bold]Next[/]", highlight=False, soft_wrap=True)
    for line in NEXT:
        console.print(f"  {line}", highlight=False, markup=False, soft_wrap=True)


# Files ---------------------------------------------------------------------------------------------------------------


for verb in file_verbs.VERBS:
    app.command(rich_help_panel=FILES)(verb)


# Upkeep --------------------------------------------------------------------------------------------------------------


for task in upkeep_verbs.VERBS:
    app.command(rich_help_panel=UPKEEP)(task)

app.add_typer(stack, name="stack", rich_help_panel=UPKEEP)


def _families(name: str) -> list[str]:
    from training.family import family_names, load_card

    return family_names() if name == "all" else [load_card(name).name]


if __name__ == "__main__":
    main()
