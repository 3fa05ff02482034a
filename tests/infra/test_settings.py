from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from infra.errors import BadInput
from infra.settings import load_settings


def test_everything_embedded_lies_below_home(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path)
    assert settings.lake_url == f"file://{tmp_path}/lake"
    assert settings.warehouse_url == f"chdb://{tmp_path}/warehouse"
    assert settings.tracking_url == f"sqlite:///{tmp_path}/mlflow.db"


def test_a_variable_moves_one_part_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELFCAST_HOME", str(tmp_path))
    monkeypatch.setenv("SHELFCAST_LAKE_URL", "s3a://bucket/lake")
    settings = load_settings()
    assert (settings.lake_url, settings.events_url) == ("s3a://bucket/lake", f"file://{tmp_path}/landing")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("lake_url", "ftp://x", "SHELFCAST_LAKE_URL is 'ftp://x': expected one of file://, s3a://"),
        ("lake_url", "file:///a%20b", "SHELFCAST_LAKE_URL is 'file:///a%20b': expected file:///folder without % in its path"),
        ("events_url", "file://data/landing", "SHELFCAST_EVENTS_URL is 'file://data/landing': expected file:///folder"),
        ("serve_port", "none", "SHELFCAST_SERVE_PORT is 'none'"),
        ("serve_port", "70000", "SHELFCAST_SERVE_PORT is '70000'"),
        ("spark_memory", "lots", "SHELFCAST_SPARK_MEMORY is 'lots'"),
    ],
)
def test_a_wrong_value_is_named_in_one_sentence(name: str, value: str, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        load_settings(**{name: value})
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_settings_are_frozen(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path)
    with pytest.raises(ValidationError):
        settings.seed = 3  # type: ignore[misc]


@pytest.mark.parametrize("name", ["a[1]", "what?", "50%", "a*", "{b}", "#1"])
def test_a_folder_whose_name_would_be_read_as_a_pattern_is_refused(tmp_path, name) -> None:
    with pytest.raises(BadInput, match=r"SHELFCAST_HOME is .*: expected a folder without"):
        load_settings(home=tmp_path / name)
    assert load_settings(home=tmp_path / "a b+c (é)").home.name == "a b+c (é)"


@pytest.mark.parametrize("way", ["/lake", "//lake", "/./x/../lake", "/link", "/lake/"])
def test_a_folder_has_one_url_whatever_way_leads_to_it(tmp_path, way) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "lake")
    settings = load_settings(home=tmp_path, lake_url=f"file://{tmp_path}{way}", events_url=f"file://{tmp_path}{way}")
    assert settings.lake_url == settings.events_url == f"file://{tmp_path}/lake"
