"""The options that verbs share, and the reading of their texts; each raises BadInput with the option's name."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from infra.errors import BadInput

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document, for scripts.")]
Who = Annotated[str, typer.Option(help="Who decides.", show_default="you")]
Why = Annotated[str, typer.Option(help="Why; the registry remembers it.")]
FamilyName = Annotated[str, typer.Argument(help="demand, stock, anomaly, slow_mover or recommend.")]
Out = Annotated[Path, typer.Option("--out", help="File to write: .parquet or .csv.")]
History = Annotated[Path, typer.Option("--history", help="store_id, product_id, ds, units and more: .parquet or .csv.")]
Day = Annotated[str | None, typer.Option(metavar="YYYY-MM-DD", help="A day, in this form only; default: all that is known.")]


def day_of(text: str | None, option: str) -> date | None:
    """A day that was written as YYYY-MM-DD; none of an option left out."""
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise BadInput(f"{option} is {text!r}: expected a day as YYYY-MM-DD") from error


def levels_of(text: str) -> list[float]:
    """The quantile levels of a list such as 0.1,0.5,0.9."""
    try:
        levels = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise BadInput(f"--quantiles is {text!r}: expected numbers between 0 and 1 such as 0.1,0.5,0.9") from error
    if len(set(levels)) < len(levels):
        raise BadInput(f"--quantiles is {text!r}: expected each level once, such as 0.1,0.5,0.9")
    return levels


def at_least_one(name: str, value: int) -> None:
    """Raise BadInput for a number of things below 1."""
    if value < 1:
        raise BadInput(f"--{name} is {value}: expected at least 1")


def ports_of(pairs: list[str]) -> dict[str, int]:
    """Port by service, of texts such as kafka=19092."""
    split = [pair.partition("=") for pair in pairs]
    for name, sign, number in split:
        if not (name and sign and number.isdigit()):
            raise BadInput(f"--port is {name + sign + number!r}: expected service=number, such as kafka=19092")
    return {name: int(number) for name, _, number in split}


def mapping_of(pairs: list[str]) -> dict[str, str]:
    """Column of a file by our field, of texts such as units=Qty."""
    return _named(pairs, "--column", "field=column, such as units=Qty")


def values_of(pairs: list[str]) -> dict[str, str]:
    """What a named query asks for, of texts such as since=2017-12-01."""
    return _named(pairs, "--with", "name=value, such as since=2017-12-01")


def _named(pairs: list[str], option: str, expected: str) -> dict[str, str]:
    split = [pair.partition("=") for pair in pairs]
    for name, sign, value in split:
        if not (name and sign and value):
            raise BadInput(f"{option} is {name + sign + value!r}: expected {expected}")
    return {name: value for name, _, value in split}
