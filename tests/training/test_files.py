"""Users' files: typed on the way in, whole or absent on the way out, one sentence when they cannot be used."""

from __future__ import annotations

import gzip
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from infra.errors import BadInput
from training.files import check_frame, check_output, check_outputs, day_of, read_frame, strangers, write_frame

REQUIRED = {"store_id": "text", "product_id": "text", "ds": "date", "units": "number"}
KEY = ("store_id", "product_id", "ds")


def read(path: Path, **more: object) -> pd.DataFrame:
    return read_frame(path, required=REQUIRED, what="history", key=KEY, nonnegative=("units",), **more)  # type: ignore[arg-type]


def written(folder: Path, rows: list[str], header: str = "store_id,product_id,ds,units") -> Path:
    path = folder / "history.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_a_csv_keeps_ids_as_text_and_days_as_days(tmp_path: Path) -> None:
    frame = read(written(tmp_path, ["007,NA,2024-01-05,3", "7.0,12,20240106,4.5"]))
    assert frame["store_id"].tolist() == ["007", "7"]
    assert frame["product_id"].tolist() == ["NA", "12"]
    assert frame["ds"].dtype == "datetime64[ns]"
    assert frame["ds"].tolist() == [pd.Timestamp("2024-01-05"), pd.Timestamp("2024-01-06")]
    assert frame["units"].tolist() == [3.0, 4.5]


def test_parquet_ids_and_days_of_any_type_read_the_same(tmp_path: Path) -> None:
    zoned = pd.to_datetime(["2024-01-05 23:30", "2024-01-06 01:00"]).tz_localize("US/Eastern")
    columns = {"store_id": [1.0, 2.0], "product_id": pd.Categorical(["a", "b"]), "ds": zoned, "units": np.int32([1, 2])}
    frame = pd.DataFrame({**columns, "more": ["x", None]})
    frame.to_parquet(tmp_path / "h.parquet")
    found = read(tmp_path / "h.parquet")
    assert found["store_id"].tolist() == ["1", "2"]
    assert found["product_id"].tolist() == ["a", "b"]
    assert found["ds"].tolist() == [pd.Timestamp("2024-01-05"), pd.Timestamp("2024-01-06")]
    assert "more" in found


def test_true_and_false_are_numbers_and_other_words_stay_words(tmp_path: Path) -> None:
    path = written(tmp_path, ["a,b,2024-01-01,1,true,easter", "a,b,2024-01-02,1,FALSE,"], "store_id,product_id,ds,units,promotion,event")
    frame = read(path, optional={"promotion": "any", "event": "any"})
    assert frame["promotion"].tolist() == [1.0, 0.0]
    assert frame["event"].tolist() == ["easter", None]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (["a,b,2024-01-01,1", "a,b,soon,1"], ["'ds'", "row 2", "'soon'", "YYYY-MM-DD"]),
        (["a,b,2024,1"], ["'ds'", "row 1", "YYYY-MM-DD"]),
        (["a,b,2024-02-30,1"], ["'ds'", "row 1"]),
        (["a,b,2024-01-01,1", "a,b,9999-12-31,1"], ["'ds'", "row 2", "1700 to 2199"]),
        (["a,b,2024-01-01,many"], ["'units'", "row 1", "'many'", "a number"]),
        (["a,b,2024-01-01,1", "a,b,2024-01-02,inf"], ["'units'", "row 2", "finite"]),
        (["a,b,2024-01-01,1", "a,b,2024-01-02,"], ["'units'", "row 2", "blank"]),
        (["a,b,2024-01-01,-3"], ["'units'", "row 1", "at least 0"]),
        (["a,b,2024-01-01,1", "a,,2024-01-02,1"], ["'product_id'", "row 2", "blank"]),
        (["a,b,2024-01-01,1", "a,c,2024-01-01,1", "a,b,2024-01-01,2"], ["row 3", "row 1", "store_id=a", "ds=2024-01-01"]),
        ([], ["no rows"]),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, rows: list[str], words: list[str]) -> None:
    with pytest.raises(BadInput) as said:
        read(written(tmp_path, rows))
    for word in ["history.csv", *words]:
        assert word in str(said.value)


def test_missing_empty_broken_and_unknown_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    (tmp_path / "broken.parquet").write_bytes(b"not parquet")
    (tmp_path / "latin.csv").write_bytes("store_id,product_id,ds,units\né,b,2024-01-01,1\n".encode("latin-1"))
    (tmp_path / "ragged.csv").write_text("store_id,product_id,ds,units\na,b,2024-01-01,1,2,3\na,b,2024-01-02,1,2,3,4\n")
    (tmp_path / "h.xlsx").write_bytes(b"x")
    said = {
        "none.csv": "no such file",
        "empty.csv": "empty",
        "broken.parquet": "parquet",
        "latin.csv": "CSV",
        "ragged.csv": "CSV",
        "h.xlsx": "ending",
    }
    for name, word in said.items():
        with pytest.raises(BadInput, match=word):
            read(tmp_path / name)
    with pytest.raises(BadInput, match="'units' is missing"):
        read(written(tmp_path, ["a,b,2024-01-01"], "store_id,product_id,ds"))


@pytest.mark.parametrize("name", ["out.csv", "out.parquet", "out.csv.gz"])
def test_what_is_written_reads_the_same_and_leaves_nothing_beside(tmp_path: Path, name: str) -> None:
    frame = pd.DataFrame({"store_id": ["01"], "product_id": ["p"], "ds": [pd.Timestamp("2024-03-01")], "units": [1.5]})
    write_frame(frame, tmp_path / name)
    pd.testing.assert_frame_equal(read(tmp_path / name), frame)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_result_is_whole_or_absent(tmp_path: Path) -> None:
    class Unwritable:
        def __str__(self) -> str:
            raise RuntimeError("no")

    out = tmp_path / "out.csv"
    out.write_text("before")
    with pytest.raises(RuntimeError):
        write_frame(pd.DataFrame({"a": [1, Unwritable()]}), out)
    assert out.read_text() == "before"
    assert len(list(tmp_path.iterdir())) == 1
    (tmp_path / "folder.csv").mkdir()
    for path, word in [(tmp_path / "none" / "o.csv", "no folder"), (tmp_path / "o.txt", "ending"), (tmp_path / "folder.csv", "a folder")]:
        with pytest.raises(BadInput, match=word):
            check_output(path)
        with pytest.raises(BadInput, match=word):
            write_frame(pd.DataFrame({"a": [1]}), path)


@pytest.mark.parametrize("value", ["2024-02-01", "2024-02-01T10:00:00", date(2024, 2, 1), pd.Timestamp("2024-02-01 23:00", tz="UTC")])
def test_a_day_is_told_in_one_way(value: object) -> None:
    assert day_of(value, "origin") == pd.Timestamp("2024-02-01")


def test_days_that_pandas_cannot_count_in_are_named_whatever_their_type() -> None:
    days = np.array(["2024-01-01", "9999-12-31"], dtype="datetime64[us]")
    with pytest.raises(BadInput, match=r"column 'ds', row 2 is .*9999-12-31.*; expected a date as YYYY-MM-DD, 1700 to 2199"):
        check_frame(pd.DataFrame({"ds": days}), required={"ds": "date"}, where="history")


def test_rows_of_no_pair_are_counted() -> None:
    pairs = pd.DataFrame({"store_id": ["a", "b"], "product_id": ["1", "2"]})
    assert strangers(pd.DataFrame({"product_id": ["1", "9"]}), pairs) == 1
    assert strangers(pd.DataFrame({"store_id": ["a", "b", "b"], "product_id": ["2", "2", None]}), pairs) == 1


@pytest.mark.parametrize("value", ["01.02.2024", "2024/02/01", "tomorrow", "", pd.NaT, "9999-12-31"])
def test_any_other_way_is_refused(value: object) -> None:
    with pytest.raises(BadInput, match=r"origin is .*: expected a date as YYYY-MM-DD"):
        day_of(value, "origin")


@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_columns_that_are_not_separated_by_commas_are_named(tmp_path: Path, mark: str) -> None:
    path = tmp_path / "h.csv"
    path.write_text(f"product_id{mark}units\nA{mark}1\n")
    with pytest.raises(BadInput, match=r"separated by .*; expected commas"):
        read_frame(path, required={"product_id": "text", "units": "number"}, what="history")


def test_two_results_are_not_written_to_one_file(tmp_path: Path) -> None:
    check_outputs(tmp_path / "a.csv", None, tmp_path / "b.csv")
    with pytest.raises(BadInput, match=r"a\.csv: two results"):
        check_outputs(tmp_path / "a.csv", tmp_path / "b.csv", f"{tmp_path}/./a.csv")


def test_the_day_of_a_time_is_the_one_on_its_own_clock(tmp_path: Path) -> None:
    times = ["2024-03-30T23:30:00+01:00", "2024-03-31T23:30:00+02:00", "2024-04-01 00:10:00Z", "2024-04-02", "2024-04-03T05:00:00.5-0800"]
    path = tmp_path / "h.csv"
    path.write_text("ds\n" + "\n".join(times) + "\n")
    found = read_frame(path, required={"ds": "date"}, what="history")["ds"].dt.strftime("%m-%d").tolist()
    assert found == ["03-30", "03-31", "04-01", "04-02", "04-03"]


def test_parquet_ids_are_what_was_written(tmp_path: Path) -> None:
    """Whole numbers beside a blank, bytes that are text, and an index of pandas."""
    large = pd.array([1234567890123456789, None, 1234567890123456700], dtype="Int64")
    frame = pd.DataFrame({"store_id": [b"S1", b"S1", b"S2"], "product_id": large, "units": pd.array([1, None, 3], dtype="Int64")})
    frame.set_index("store_id").to_parquet(tmp_path / "h.parquet")
    types = {"store_id": "text", "product_id": "text", "units": "number"}
    found = read_frame(tmp_path / "h.parquet", required=types, what="history", blank=("product_id", "units"))
    assert found["store_id"].tolist() == ["S1", "S1", "S2"]
    assert found["product_id"].tolist() == ["1234567890123456789", None, "1234567890123456700"]
    assert found["units"].fillna(-1).tolist() == [1, -1, 3]


def test_a_result_does_not_take_the_place_of_what_is_read(tmp_path: Path) -> None:
    path = written(tmp_path, ["1,2,2024-01-01,3"])
    check_outputs(tmp_path / "o.csv", reads=[path, None])
    with pytest.raises(BadInput, match="it is read too"):
        check_outputs(tmp_path / "o.csv", f"{tmp_path}/./{path.name}", reads=[None, path])


def test_a_packed_file_that_is_cut_short_is_named(tmp_path: Path) -> None:
    whole = gzip.compress(b"product_id,units\n" + b"A,1\n" * 5000)
    broken = whole[:20] + bytes(255 - byte for byte in whole[20:40]) + whole[40:]
    for name, content in (("cut.csv.gz", whole[: len(whole) // 2]), ("broken.csv.gz", broken)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BadInput, match=f"history file .*{name}: it cannot be read as CSV"):
            read_frame(tmp_path / name, required={"product_id": "text", "units": "number"}, what="history")
