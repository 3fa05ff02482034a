"""A user's CSV or parquet file as typed columns: what does not fit is said in one sentence with file, column and row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from infra.errors import BadInput

#: what a file may write for "not known", but for an id
_BLANKS = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"]
#: a time of day with its distance from UTC, and one with a sign behind it, which only such a distance has
_ZONED, _SIGNED = r"[T ]\d\d.*(?:Z|[+-]\d\d(?::?\d\d)?)$", r"[T ]\d\d.*[+-]"


@dataclass(frozen=True)
class UserFile:
    """A table with the user's own column names; `mapping` gives the user's column for a field, a field that is not in it
    is looked up by its own name. Rows are counted from 1, without the header."""

    name: str
    frame: pd.DataFrame
    mapping: Mapping[str, str]

    def has(self, field: str) -> bool:
        """Whether the field has a column."""
        return self.mapping.get(field, field) in self.frame.columns

    def column(self, field: str) -> str:
        """The user's column of a field; raises BadInput when the file has none."""
        column = self.mapping.get(field, field)
        if column not in self.frame.columns:
            hint = f" for {field}" if column != field else ""
            raise BadInput(f"{self.name}: column {column!r}{hint} is missing; it has {', '.join(map(str, self.frame.columns))}")
        return column

    def text(self, field: str, *, required: bool = True) -> pd.Series:
        """The field as text without surrounding blanks; empty is None, and refused when required. An id "NA" is an id; where
        there may be none, it says that there is none."""
        column = self.column(field)
        values = self.frame[column]
        if pd.api.types.is_float_dtype(values):
            # a column of whole numbers with gaps arrives as floats: 17.0 was 17
            values = values.map(lambda v: None if pd.isna(v) else f"{v:.0f}" if float(v).is_integer() else str(v))
        out = values.where(values.isna(), values.astype(str).str.strip()).astype(object)
        out = out.where(out.notna() & ~out.isin([""] if required else _BLANKS), None)
        if required:
            self.refuse(column, out.isna().to_numpy(), "is empty", f"{field} as text")
        return out

    def number(self, field: str, low: float, high: float, *, default: float | None = None) -> np.ndarray:
        """The field as numbers within [low, high]; empty is `default`, or refused when that is None."""
        column = self.column(field)
        raw = self.frame[column]
        raw = raw.mask(raw.astype(str).str.strip().isin(_BLANKS))
        values = pd.to_numeric(raw, errors="coerce").to_numpy(float, na_value=np.nan)
        expected = f"{field} as a number from {low:g} to {high:g}"
        empty = raw.isna().to_numpy()
        self.refuse(column, np.isnan(values) & ~empty, "is not a number", expected)
        if default is None:
            self.refuse(column, empty, "is empty", expected)
        values = np.where(empty, 0.0 if default is None else default, values)
        self.refuse(column, (values < low) | (values > high), "is out of range", expected)
        return values

    def times(self, field: str, utc_offset_hours: float) -> np.ndarray:
        """The field as UTC times (datetime64[us]); a time without a zone is local to `utc_offset_hours`."""
        column = self.column(field)
        raw = self.frame[column]
        shift = np.timedelta64(round(utc_offset_hours * 3600), "s")
        if isinstance(raw.dtype, pd.DatetimeTZDtype):
            return raw.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[us]")
        text = raw.astype(str).str.strip().str.upper()
        zoned = text.str.contains(_ZONED, regex=True)
        # pandas also reads zones that are none of ISO 8601 (+2, -5:00): what it would take for one is not local either
        unsure = text.str.contains(_SIGNED, regex=True) & ~zoned
        read = pd.to_datetime(text.mask(unsure), errors="coerce", utc=True, format="ISO8601").dt.tz_localize(None)
        times = read.where(zoned, read - shift)
        self.refuse(column, times.isna().to_numpy(), "is not a time", f"{field} as ISO 8601, such as 2024-05-31T17:20:00")
        return times.to_numpy("datetime64[us]")

    def days(self, field: str) -> np.ndarray:
        """The field as days (datetime64[D])."""
        column = self.column(field)
        text = self.frame[column].astype(str).str.strip().str.slice(0, 10)
        days = pd.to_datetime(text, errors="coerce", format="%Y-%m-%d")
        self.refuse(column, days.isna().to_numpy(), "is not a day", f"{field} as YYYY-MM-DD")
        return days.to_numpy("datetime64[D]")

    def refuse(self, column: str, wrong: np.ndarray, said: str, expected: str) -> None:
        """Raise BadInput naming the first of the rows that are `wrong` in a column, where there is one."""
        if wrong.any():
            row = int(wrong.argmax())
            found = self.frame[column].iloc[row]
            shown = "" if pd.isna(found) else f"{str(found)[:80]!r} "
            raise BadInput(f"{self.name}: column {column!r}, row {row + 1}: {shown}{said}; expected {expected}")


def read_user_file(path: Path, mapping: Mapping[str, str]) -> UserFile:
    """Read a .csv or .parquet file; raises BadInput when it is none, cannot be read or holds no row."""
    if not path.is_file():
        raise BadInput(f"{path} is not a file: expected a .csv or .parquet file")
    if path.suffix.lower() not in (".csv", ".parquet"):
        raise BadInput(f"{path} ends in {path.suffix or 'nothing'!r}: expected a .csv or .parquet file")
    try:
        frame = (
            pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""]) if path.suffix.lower() == ".csv" else pd.read_parquet(path)
        )
    except pd.errors.EmptyDataError as error:
        raise BadInput(f"{path.name} is empty: expected a header and at least one row") from error
    except (ValueError, OSError, pd.errors.ParserError) as error:
        raise BadInput(f"{path.name} cannot be read as {path.suffix[1:]}: {str(error).splitlines()[0]}") from error
    if not len(frame):
        raise BadInput(f"{path.name} has no rows: expected at least one below the header")
    return UserFile(path.name, frame, mapping)
