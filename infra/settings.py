"""The settings: the only reader of the environment, built once by the entry point and passed down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import AliasChoices, Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from infra.errors import BadInput, without_credentials
from infra.s3 import point_clients_at

PREFIX = "SHELFCAST_"

#: what a URL or a pattern of files takes for something else
_NOT_IN_PATHS = "[]{}*?#%^|\\"

_SCHEMES = {
    "events_url": ("file", "kafka"),
    "lake_url": ("file", "s3a"),
    "warehouse_url": ("chdb", "clickhouse", "clickhouses"),
    "online_url": ("sqlite", "redis"),
    "tracking_url": ("sqlite", "http", "https", "postgresql"),
    "artifacts_url": ("file", "s3"),
}


class Settings(BaseSettings):
    """Where everything lives. Every field is set by `SHELFCAST_<FIELD>`; an empty URL means the embedded default
    below `home`. An environment (laptop, real services, cluster) is nothing but these URLs."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    home: Path = Field(default=Path("~/.shelfcast"), description="folder of all embedded state and reports")
    jars: Path = Field(default=Path("~/.shelfcast/jars"), description="folder of the jars that Spark is started with")
    events_url: str = Field(default="", description="file:///folder or kafka://host:port/prefix")
    lake_url: str = Field(default="", description="file:///folder or s3a://bucket/prefix")
    warehouse_url: str = Field(
        default="", description="chdb:///folder or clickhouse://user:password@host:port/database, clickhouses:// with TLS"
    )
    online_url: str = Field(default="", description="sqlite:///file or redis://host:port")
    tracking_url: str = Field(default="", description="sqlite:///file or http://mlflow-server:port")
    artifacts_url: str = Field(default="", description="file:///folder or s3://bucket/prefix")
    spark_url: str = Field(default="local[*]", description="Spark master")
    spark_memory: str = Field(default="3g", pattern=r"^\d+[gm]$", description="driver heap, such as 3g")
    spark_cores: int = Field(default=1, ge=1, description="cores of a spark:// cluster that one verb takes")
    s3_endpoint_url: str = Field(default="", description="endpoint of an S3 store that is not AWS")
    s3_region: str = Field(default="us-east-1", validation_alias=AliasChoices("s3_region", f"{PREFIX}S3_REGION", "AWS_REGION"))
    serve_host: str = "127.0.0.1"
    serve_port: int = Field(default=3000, ge=1, le=65535)
    serve_tokens: str = Field(default="", description="comma separated bearer tokens; empty: loopback only, no token")
    serve_poll_seconds: float = Field(default=5, gt=0, le=3600, description="seconds between two looks at the registry")
    serve_shadow_share: float = Field(default=0.1, ge=0, le=1, description="share of requests that a challenger scores too")
    serve_age_days: float = Field(default=0, ge=0, description="days by the clock after which features answer nothing; 0: never")
    serve_log_megabytes: int = Field(default=2048, ge=1, description="predictions that are kept; the oldest files go first")
    java_home: str = Field(default="", validation_alias=AliasChoices("java_home", "JAVA_HOME"), description="JAVA_HOME, tried first")
    mlflow_run_id: str = Field(
        default="", validation_alias=AliasChoices("mlflow_run_id", "MLFLOW_RUN_ID"), description="the run that `mlflow run` opened"
    )
    seed: int = Field(default=2017, ge=0)
    tuning_trials: int = Field(default=3, ge=1, le=1000, description="Optuna trials a candidate")

    @field_validator("home", "jars")
    @classmethod
    def _absolute(cls, folder: Path, info: ValidationInfo) -> Path:
        found = folder.expanduser().resolve()
        if odd := sorted(set(_NOT_IN_PATHS) & set(str(found))):
            name = f"{PREFIX}{info.field_name}".upper()
            raise ValueError(f"{name} is {str(found)!r}: expected a folder without {' '.join(odd)} in its path")
        return found

    @model_validator(mode="before")
    @classmethod
    def _embedded_defaults(cls, values: dict[str, Any]) -> dict[str, Any]:
        home = Path(values.get("home") or "~/.shelfcast").expanduser().resolve()
        embedded = {
            "events_url": f"file://{home}/landing",
            "lake_url": f"file://{home}/lake",
            "warehouse_url": f"chdb://{home}/warehouse",
            "online_url": f"sqlite:///{home}/online.db",
            "tracking_url": f"sqlite:///{home}/mlflow.db",
            "artifacts_url": f"file://{home}/artifacts",
        }
        resolved = {name: _resolved(name, values[name]) for name in ("events_url", "lake_url") if values.get(name)}
        return {**values, **{name: resolved.get(name) or values.get(name) or url for name, url in embedded.items()}}

    @model_validator(mode="after")
    def _known_schemes(self) -> Settings:
        for name, schemes in _SCHEMES.items():
            url = getattr(self, name)
            if url.split("://", 1)[0] not in schemes or "://" not in url:
                raise ValueError(
                    f"{PREFIX}{name.upper()} is {without_credentials(url)!r}: expected one of {', '.join(s + '://' for s in schemes)}"
                )
        return self

    @property
    def checkpoints(self) -> Path:
        """Folder of streaming checkpoints and step markers."""
        return self.home / "checkpoints"

    @property
    def reports(self) -> Path:
        """Folder of HTML reports."""
        return self.home / "reports"


def _resolved(name: str, url: str) -> str:
    """A file:// URL as the libraries tell it back: files are known by their paths, which must read the same everywhere."""
    scheme, _, path = url.partition("://")
    if scheme != "file":
        return url
    if not path.startswith("/") or (odd := sorted(set(_NOT_IN_PATHS) & set(path))):
        expected = f"file:///folder without {' '.join(odd)} in its path" if path.startswith("/") else "file:///folder"
        raise ValueError(f"{PREFIX}{name.upper()} is {url!r}: expected {expected}")
    return f"file://{Path(path).resolve()}"


def load_settings(**overrides: Any) -> Settings:
    """Settings from `SHELFCAST_*` variables, `overrides` winning; raises BadInput naming the variable and its value. S3
    clients of the process find the endpoint from here on."""
    try:
        settings = Settings(**overrides)
        point_clients_at(settings.s3_endpoint_url, settings.s3_region)
        return settings
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        if not where:
            raise BadInput(str(first["ctx"]["error"])) from error
        raise BadInput(f"{PREFIX}{where.upper()} is {first['input']!r}: {first['msg']}") from error
