"""What a verb prints: results on stdout, as JSON or to be read; progress and complaints on stderr."""

from __future__ import annotations

import dataclasses
import json
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

if TYPE_CHECKING:
    import pandas as pd

ROOT = Path(__file__).parents[1]

#: characters of a text that still stands in its row
_LONGEST_CELL = 48

console, complaints = Console(), Console(stderr=True)


def only_what_a_user_can_act_on() -> None:
    """Keep the libraries' own notes to developers out of what a verb prints. Not by filters: some libraries reset them."""
    shown = warnings.showwarning

    def ours(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, file: TextIO | None = None, line: str | None = None
    ) -> None:
        if Path(filename).is_relative_to(ROOT) and "site-packages" not in filename:
            shown(message, category, filename, lineno, file, line)

    warnings.showwarning = ours
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")


def tell(said: str) -> None:
    """Say one sentence beside the results."""
    complaints.print(escape(said), highlight=False, soft_wrap=True)


@contextmanager
def progress() -> Iterator[Callable[[int, int, str], None]]:
    """A callback `(done, total, label)` that draws one bar a label, or a line a label where there is no terminal."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=complaints,
        transient=False,
    )
    tasks: dict[str, Any] = {}

    def say(done: int, total: int, label: str) -> None:
        story = label.split(":", 1)[0]
        if not complaints.is_terminal:
            complaints.print(f"{label} ({done}/{total})", highlight=False)
            return
        if story not in tasks:
            tasks[story] = bar.add_task(label, total=total)
        bar.update(tasks[story], completed=done, total=total, description=label)

    with bar:
        yield say


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a frame, to be shown; days without their midnight."""
    days = [name for name in frame.select_dtypes("datetime") if (frame[name] == frame[name].dt.normalize()).all()]
    return frame.assign(**{name: frame[name].dt.date for name in days}).to_dict("records")  # type: ignore[arg-type,return-value]


def show(value: Any, as_json: bool) -> None:
    """Print a result: as one JSON document, or as a table or named lines to read."""
    plain = _plain(value)
    if as_json:
        print(json.dumps(plain, default=str, indent=2))
    elif isinstance(plain, list) and plain and isinstance(plain[0], dict):
        _grid(plain)
    elif isinstance(plain, dict):
        for key, part in plain.items():
            console.print(f"[bold]{key}[/]: {escape(_words(part))}", highlight=False, soft_wrap=True)
    else:
        console.print("nothing" if plain in ([], None) else escape(str(plain)), highlight=False)


def _grid(rows: list[dict[str, Any]]) -> None:
    """Rows below their names; what is long stands under its row, over the whole width."""
    told = {name: [_words(row[name]) for row in rows] for name in rows[0]}
    long = [name for name, texts in told.items() if max(map(len, texts)) > _LONGEST_CELL]
    widths = {name: max(map(len, [name, *texts])) for name, texts in told.items() if name not in long}
    console.print("  ".join(f"[bold]{escape(name):{width}}[/]" for name, width in widths.items()), highlight=False, soft_wrap=True)
    for number in range(len(rows)):
        cells = "  ".join(f"{told[name][number]:{width}}" for name, width in widths.items())
        console.print(escape(cells.rstrip()), highlight=False, soft_wrap=True)
        for name in long:
            console.print(Padding(Text(told[name][number]), (0, 0, 0, 4)))


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_words(part)}" for key, part in value.items())
    if isinstance(value, (list, tuple)):
        return "; ".join(_words(part) for part in value)
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _plain(value: Any) -> Any:
    """Dataclasses as dictionaries, without the fields that are not for reading (repr=False)."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value) if f.repr}
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return value
