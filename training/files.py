"""Users' own files, in and out: a CSV or parquet frame is checked at the border, column by column, and a result appears
under its name whole or not at all. Shared by every file verb; imports no Spark.

Types of a column: `text` (ids: 7, 7.0 and "7" are all "7"; leading zeros of a CSV stay), `date` (a day, ISO 8601 or a
date/timestamp type, cut to midnight), `number` (float64 or integer; true/false is 1/0), `any` (numbers if all are, else text).
"""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from infra.errors import BadInput
from infra.tables import require_columns

_CSV = (".csv", ".csv.gz")
_PARQUET = (".parquet", ".pq")
_ENDINGS = ", ".join((*_CSV, *_PARQUET))
#: days without any row before the day asked about, above which a wrong day is likelier than shops that sold nothing
LATEST_DAYS = 56
#: the days that are read: pandas ends in 2262, and what is made of the last day reaches years beyond it
_FIRST_DAY, _LAST_DAY = pd.Timestamp("1700-01-01"), pd.Timestamp("2199-12-31")
_A_DAY = f"a date as YYYY-MM-DD, {_FIRST_DAY:%Y} to {_LAST_DAY:%Y}"
#: what separates columns where it is not the comma
_OTHER_MARKS = (";", "\t", "|")
#: what a CSV may write for "not known" in a column that is not text
_BLANKS = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"]


def read_frame(
    path: str | Path,
    *,
    required: Mapping[str, str],
    optional: Mapping[str, str] | None = None,
    what: str,
    key: Sequence[str] = (),
    nonnegative: Collection[str] = (),
    blank: Collection[str] = (),
    between: Mapping[str, tuple[float, float]] | None = None,
) -> pd.DataFrame:
    """The rows of a user's file in their order, typed as `required` and `optional` say; other columns are kept as found.

    `what` names the file's role in messages ("history"). `key` columns that are present must identify a row. A required
    column may hold no blank unless in `blank`; optional ones may. Infinite numbers are always refused, negative ones
    in `nonnegative`, and those outside `between` (inclusive). Raises BadInput naming file, column, row (1 = first data
    row) and what was expected."""
    where = f"{what} file {path}"
    frame = _read(Path(path), where, {**required, **(optional or {})})
    return check_frame(
        frame, required=required, optional=optional, where=where, key=key, nonnegative=nonnegative, blank=blank, between=between
    )


def check_frame(
    frame: pd.DataFrame,
    *,
    required: Mapping[str, str],
    optional: Mapping[str, str] | None = None,
    where: str,
    key: Sequence[str] = (),
    nonnegative: Collection[str] = (),
    blank: Collection[str] = (),
    between: Mapping[str, tuple[float, float]] | None = None,
) -> pd.DataFrame:
    """A copy of a data frame typed and checked as `read_frame` does; for Python callers that bring frames, not files.
    `where` names the frame in messages."""
    require_columns(frame, list(required), where)
    if frame.empty:
        raise BadInput(f"{where}: it has no rows; expected at least one")
    typed = {name: kind for name, kind in {**required, **(optional or {})}.items() if name in frame.columns}
    checked = frame.reset_index(drop=True).copy(deep=False)
    for name, kind in typed.items():
        values = _TYPED[kind](checked[name], name, where)
        if name in required and name not in blank:
            _refuse(values.isna(), checked[name], name, where, "a value" if kind == "any" else f"a {kind}")
        checked[name] = values
    for name in nonnegative:
        if name in typed:
            _refuse(checked[name] < 0, checked[name], name, where, "a number of at least 0")
    for name, (low, high) in (between or {}).items():
        if name in typed:
            _refuse((checked[name] < low) | (checked[name] > high), checked[name], name, where, f"a number from {low:g} to {high:g}")
    _refuse_duplicates(checked, [name for name in key if name in checked.columns], where)
    return checked


def day_of(value: Any, name: str) -> pd.Timestamp:
    """The day that an argument names: a date of any type, or text in ISO 8601 and no other, since 01.02. is two days.
    Raises BadInput."""
    try:
        day = pd.Timestamp(datetime.fromisoformat(value) if isinstance(value, str) else value)
        # a blank is no day within any bounds
        within = _FIRST_DAY <= day.tz_localize(None) < _LAST_DAY + pd.Timedelta(days=1)
    except (ValueError, TypeError) as problem:
        raise BadInput(f"{name} is {value!r}: expected {_A_DAY}") from problem
    if not within:
        raise BadInput(f"{name} is {value!r}: expected {_A_DAY}")
    return day.tz_localize(None).as_unit("ns").normalize()


def require_recent(ends: pd.Timestamp, day: pd.Timestamp, name: str, where: str) -> None:
    """Raise BadInput where the day `name` that is asked about lies far behind the rows' last one."""
    if (day - ends).days > LATEST_DAYS:
        raise BadInput(
            f"{where}: its last day is {ends:%Y-%m-%d}, {(day - ends).days} days before {name} {day:%Y-%m-%d}; expected at most "
            f"{LATEST_DAYS}: a day without a row is a day without a sale"
        )


#: days in a row without any row, above which one of the days is likelier a slip
_LONGEST_GAP_DAYS = 366


def require_unbroken(days: pd.Series, where: str, until: pd.Timestamp | None = None, *, placeholders: bool = False) -> None:
    """Raise BadInput where rows up to `until` (default: all) stop for over a year and begin again: with a slip such as 2042 nothing else
    would be looked at. With `placeholders` a gap is let through that most rows come after: a day such as 1900 is then only an old one."""
    known = days if until is None else days[days <= until]
    distinct = np.sort(known.unique())
    for gap in np.flatnonzero(np.diff(distinct) > np.timedelta64(_LONGEST_GAP_DAYS, "D")):
        last, then = pd.Timestamp(distinct[gap]), pd.Timestamp(distinct[gap + 1])
        if placeholders and (known >= then).mean() >= 0.5:
            continue
        row = int(np.flatnonzero((days == then).to_numpy())[0]) + 1
        raise BadInput(
            f"{where}: column 'ds', row {row} is {then:%Y-%m-%d}, {(then - last).days:,} days after the day before it, {last:%Y-%m-%d}; "
            f"expected at most {_LONGEST_GAP_DAYS} days without a row"
        )


def begun_on(label: pd.Timestamp, step: int) -> list[str]:
    """A sentence where weeks of `step` 7 days are not labelled by Mondays: some tools label a week by its last day."""
    if step == 1 or label.dayofweek == 0:
        return []
    return [f"weeks are labelled by a {label.day_name()}, and are read as beginning on it: expected the week's Monday"]


def strangers(items: pd.DataFrame, pairs: pd.DataFrame) -> int:
    """How many rows of `items` name a product, a store or both of which there is no pair."""
    fits = np.ones(len(items), bool)
    for key in (["store_id"], ["product_id"], ["store_id", "product_id"]):
        if set(key) <= set(items.columns):
            whole = items[key].notna().all(axis=1).to_numpy()
            fits &= ~whole | pd.MultiIndex.from_frame(items[key]).isin(pd.MultiIndex.from_frame(pairs[key].drop_duplicates()))
    return int((~fits).sum())


def write_frame(frame: pd.DataFrame, path: str | Path) -> Path:
    """Write rows to a CSV or parquet file (by its ending), replacing it at once when whole; days are written YYYY-MM-DD in
    CSV. Raises BadInput when the file cannot be written there or its ending is unknown."""
    target = check_output(path)
    temporary = target.with_name(f".{os.getpid()}-{target.name}")
    try:
        if _ends(target, _CSV):
            frame.to_csv(temporary, index=False, date_format="%Y-%m-%d")
        else:
            frame.to_parquet(temporary, index=False)
        temporary.replace(target)
    except OSError as problem:  # no right to write there, a full disk
        raise BadInput(f"output file {target}: it cannot be written ({problem.strerror or problem})") from problem
    finally:
        temporary.unlink(missing_ok=True)
    return target


def check_output(path: str | Path, reads: Sequence[str | Path | None] = ()) -> Path:
    """The path, when `write_frame` could write there and none of the files that are read would be lost by it; for verbs that should
    fail before an hour of work, not after."""
    target = Path(path)
    if not _ends(target, _CSV + _PARQUET):
        raise BadInput(f"output file {target}: its ending is unknown; expected one of {_ENDINGS}")
    if not target.parent.is_dir():
        raise BadInput(f"output file {target}: there is no folder {target.parent}; make it first")
    if target.is_dir():
        raise BadInput(f"output file {target}: it is a folder; expected a file")
    if any(path is not None and Path(path).resolve() == target.resolve() for path in reads):
        raise BadInput(f"output file {target}: it is read too, and what it holds would be lost; expected a file of its own")
    return target


def check_outputs(*paths: str | Path | None, reads: Sequence[str | Path | None] = ()) -> None:
    """`check_output` of every path that is given, each a file of its own."""
    targets = [check_output(path, reads).resolve() for path in paths if path is not None]
    if twice := next((target for target in targets if targets.count(target) > 1), None):
        raise BadInput(f"output file {twice}: two results would be written to it; expected a file each")


def _ends(path: Path, endings: tuple[str, ...]) -> bool:
    return path.name.lower().endswith(endings)


def _read(path: Path, where: str, types: Mapping[str, str]) -> pd.DataFrame:
    if not path.is_file():
        raise BadInput(f"{where}: there is no such file")
    if not _ends(path, _CSV + _PARQUET):
        raise BadInput(f"{where}: its ending is unknown; expected one of {_ENDINGS}")
    if path.stat().st_size == 0:
        raise BadInput(f"{where}: it is empty; expected columns {', '.join(types)}")
    try:
        return _read_csv(path, types) if _ends(path, _CSV) else _read_parquet(path)
    except (ValueError, OSError, EOFError, zlib.error) as problem:  # pandas' parser errors, pyarrow's and codecs' are all of these
        said = " ".join(str(problem).split()) or type(problem).__name__
        raise BadInput(f"{where}: it cannot be read as {'CSV' if _ends(path, _CSV) else 'parquet'} ({said})") from problem


def _read_csv(path: Path, types: Mapping[str, str]) -> pd.DataFrame:
    header = list(pd.read_csv(path, nrows=0, encoding="utf-8-sig").columns)
    if len(header) == 1 and (other := next((mark for mark in _OTHER_MARKS if mark in header[0]), None)):
        raise ValueError(f"its columns seem to be separated by {other!r}; expected commas, and points in numbers")
    text = {name for name in header if types.get(name) == "text"}
    # an id "NA" is an id: only the empty cell is blank in a text column
    blanks = {name: [""] if name in text else _BLANKS for name in header}
    kinds: Any = dict.fromkeys(text, "category")
    return pd.read_csv(path, dtype=kinds, encoding="utf-8-sig", keep_default_na=False, na_values=blanks, low_memory=False)


def _read_parquet(path: Path) -> pd.DataFrame:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    for at, field in enumerate(table.schema):
        if pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type):  # text, by writers that do not say so
            table = table.set_column(at, field.name, table.column(at).cast(pa.string()))
    # one string object a distinct value instead of one a row: 12 M rows of ids in megabytes. An index is a column; whole numbers
    # stay whole beside blanks, since ids beyond 2**53 would be rounded
    return table.to_pandas(strings_to_categorical=True, ignore_metadata=True, integer_object_nulls=True)


def _text(values: pd.Series, name: str, where: str) -> pd.Series:
    codes, distinct = pd.factorize(values)
    words = np.array([_word(value) for value in distinct] + [None], dtype=object)
    return pd.Series(words[codes], index=values.index, dtype=object)


def _word(value: Any) -> str | None:
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        value = int(value)
    return _FLOATED.sub(r"\1", str(value).strip()) or None


#: an id that went through a float column: 42.0
_FLOATED = re.compile(r"^(-?[0-9]+)\.0+$")


def _date(values: pd.Series, name: str, where: str) -> pd.Series:
    codes, distinct = pd.factorize(values)
    parsed = _days(distinct)
    kept = parsed.where((parsed >= _FIRST_DAY) & (parsed <= _LAST_DAY))
    days = np.append(kept.to_numpy(dtype="datetime64[ns]"), np.datetime64("NaT", "ns"))
    result = pd.Series(days[codes], index=values.index)
    _refuse(result.isna() & values.notna(), values, name, where, _A_DAY)
    return result


#: a time's distance from UTC: the day is the one that the file's own clock says
_OFFSET = re.compile(r"([T ]\d\d.*?)\s*(?:Z|[+-]\d{2}(?::?\d{2})?)$")


def _days(distinct: Any) -> pd.DatetimeIndex:
    """Distinct values as days without time zone; NaT where one is not a date."""
    found = pd.Index(distinct)
    if isinstance(found, pd.CategoricalIndex):
        found = pd.Index(found.astype(object))
    if not isinstance(found, pd.DatetimeIndex):
        # shorter ISO forms ("2024", "2024-03") are not days, and a bare small number is no date
        words = pd.Series([_word(value) for value in found], dtype=object).str.replace(_OFFSET, r"\1", regex=True)
        found = pd.DatetimeIndex(pd.to_datetime(words.where(words.str.len() >= 8), format="ISO8601", errors="coerce"))
    return pd.DatetimeIndex(found.tz_localize(None)).normalize()


def _number(values: pd.Series, name: str, where: str) -> pd.Series:
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(object)
    if values.dtype == bool:
        return values.astype(float)
    numbers = values if _numeric(values) else _parsed(values)
    _refuse(numbers.isna() & values.notna(), values, name, where, "a number")
    if numbers.dtype.kind == "f":
        _refuse(np.isinf(numbers), numbers, name, where, "a finite number")
    return numbers


def numbers_of(values: pd.Series) -> np.ndarray:
    """(n,) the values as float64: true/false is 1/0; NaN where one is blank or no number."""
    if pd.api.types.is_numeric_dtype(values.dtype):
        return values.to_numpy(dtype=float, na_value=np.nan)
    codes, distinct = pd.factorize(values)
    found = _parsed(pd.Series(distinct, dtype=object)).to_numpy(dtype=float)
    return np.append(found, np.nan)[codes]


def words_of(values: pd.Series) -> pd.Series:
    """The values as text, 7.0 as 7; None where one is blank."""
    return _text(values, "", "")


def _numeric(values: pd.Series) -> bool:
    return isinstance(values.dtype, np.dtype) and values.dtype.kind in "iuf"


def _parsed(values: pd.Series) -> pd.Series:
    said = values.astype(object).map(lambda v: _BOOLEANS.get(str(v).strip().lower(), v))
    return pd.to_numeric(said, errors="coerce").astype(float)


_BOOLEANS = {"true": 1, "false": 0}


def _any(values: pd.Series, name: str, where: str) -> pd.Series:
    if values.dtype == bool or _numeric(values):
        return _number(values, name, where)
    parsed = _parsed(values)
    return _text(values, name, where) if (parsed.isna() & values.notna()).any() else _number(values, name, where)


_TYPED = {"text": _text, "date": _date, "number": _number, "any": _any}


def _refuse(bad: pd.Series, values: pd.Series, name: str, where: str, expected: str) -> None:
    if bad.any():
        row = int(np.flatnonzero(bad.to_numpy())[0])
        found = values.iloc[row]
        said = "blank" if pd.isna(found) else repr(plain(found))
        raise BadInput(f"{where}: column {name!r}, row {row + 1} is {said}; expected {expected}")


def plain(value: Any) -> Any:
    """A value as Python's own, to be told: 3.0 and not np.float64(3.0)."""
    return value.item() if isinstance(value, np.generic) else value


def _refuse_duplicates(frame: pd.DataFrame, key: list[str], where: str) -> None:
    if not key:
        return
    code = np.zeros(len(frame), dtype=np.int64)
    for name in key:  # one integer a row: distinct keys times days stays far below 2**63
        codes, distinct = pd.factorize(frame[name], use_na_sentinel=False)
        code = code * len(distinct) + codes
    again = pd.Series(code).duplicated()
    if again.any():
        row = int(np.flatnonzero(again.to_numpy())[0])
        first = int(np.flatnonzero(code == code[row])[0])
        said = ", ".join(f"{name}={_shown(frame[name].iloc[row])}" for name in key)
        raise BadInput(f"{where}: row {row + 1} repeats the key of row {first + 1} ({said}); expected one row a key ({', '.join(key)})")


def _shown(value: Any) -> str:
    return value.strftime("%Y-%m-%d") if isinstance(value, pd.Timestamp) else str(value)
