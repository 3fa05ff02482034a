"""`shelfcast stack`: the real services on this machine, started, looked at and ended."""

from __future__ import annotations

from typing import Annotated

import typer

from infra.console import progress, show
from infra.options import Json, ports_of
from infra.settings import load_settings
from infra.stack.stack import Stack

stack = typer.Typer(help="The real services as plain processes on this machine, for development and tests.", no_args_is_help=True)


@stack.command("up")
def stack_up(
    port: Annotated[list[str] | None, typer.Option("--port", help="service=number, such as kafka=19092; repeat.")] = None,
    as_json: Json = False,
) -> None:
    """Start Kafka, MinIO, Redis, MLflow and a Spark cluster, and return when all are healthy; what runs already stays."""
    with progress() as say:
        show(Stack.at(load_settings(), chosen=ports_of(port or [])).up(say), as_json)


@stack.command("down")
def stack_down() -> None:
    """End what `up` started, and nothing else; the data stays."""
    show(Stack.at(load_settings()).down(), False)


@stack.command("status")
def stack_status(as_json: Json = False) -> None:
    """How each service stands, and the variables to export."""
    found = Stack.at(load_settings())
    show(found.status(), as_json)
    if not as_json:
        stack_env()


@stack.command("env")
def stack_env() -> None:
    """The variables that point every verb at the stack: `eval "$(shelfcast stack env)"`."""
    for name, value in Stack.at(load_settings()).variables.items():
        print(f"export {name}={value}")


@stack.command("logs")
def stack_logs(
    service: Annotated[str, typer.Argument(help="kafka, minio, redis, mlflow, spark, spark-worker-1, ...")], lines: int = 40
) -> None:
    """The end of a service's log."""
    print(Stack.at(load_settings()).process(service).tail(lines))
