"""What Feast knows: entities, views over the lake's gold tables, and the services that models ask for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from feature_repo.keys import CUSTOMER, PAIR, PRODUCT, Key
from feature_repo.snapshots import KNOWN_AT
from feature_repo.tables import CUSTOMER_FEATURES, DEMAND_FEATURES, PAIR_ACTIVITY, STOCK_FEATURES
from infra.errors import BadInput
from infra.lake import MONTH, Lake
from infra.settings import Settings
from infra.tables import Table

if TYPE_CHECKING:
    from feast import Entity, FeatureService, FeatureView

PROJECT = "shelfcast"
KEYS: tuple[Key, ...] = (PAIR, PRODUCT, CUSTOMER)


@dataclass(frozen=True)
class View:
    """A feature table of one entity; a row older than `max_age` is too stale to be joined or served."""

    table: Table
    key: Key
    max_age: timedelta

    @property
    def name(self) -> str:
        """The view's name in Feast: the table's."""
        return self.table.name

    @property
    def types(self) -> dict[str, str]:
        """Spark type of every column of the table."""
        return {column.name: column.type for column in self.table.columns}

    @property
    def features(self) -> list[str]:
        """All columns but the keys, the day and the moment of knowledge."""
        return [name for name in self.table.names if name not in (self.key.join_key, *self.key.columns, "ds", KNOWN_AT)]


# the daily tables have a row for every day, so that a short age loses nothing and keeps the point-in-time join narrow:
# it multiplies each asked row by the table's rows within that age
DEMAND = View(DEMAND_FEATURES, PAIR, timedelta(days=3))
STOCK = View(STOCK_FEATURES, PAIR, timedelta(days=3))
ACTIVITY = View(PAIR_ACTIVITY, PAIR, timedelta(days=3))
CUSTOMERS = View(CUSTOMER_FEATURES, CUSTOMER, timedelta(days=14))
VIEWS: tuple[View, ...] = (DEMAND, STOCK, ACTIVITY, CUSTOMERS)

#: the services by name: the views and the features that each takes of them
SERVICES: dict[str, tuple[tuple[View, tuple[str, ...]], ...]] = {
    "demand_v1": ((DEMAND, tuple(DEMAND.features)),),
    "stock_v1": ((DEMAND, tuple(DEMAND.features)), (STOCK, tuple(STOCK.features))),
    "slow_mover_v1": (
        (ACTIVITY, tuple(ACTIVITY.features)),
        (STOCK, ("on_hand", "on_order", "in_stock_28d", "shelf_price", "unit_cost", "shelf_life_days")),
    ),
    "recommend_v1": ((CUSTOMERS, tuple(CUSTOMERS.features)),),
}


def service_features(service: str) -> list[str]:
    """The feature names of a service, in its order; raises BadInput with the known services."""
    return [name for _, names in service_views(service) for name in names]


def service_references(service: str) -> list[str]:
    """A new list of Feast's `view:feature` names of a service."""
    return [f"{view.name}:{name}" for view, names in service_views(service) for name in names]


def service_types(service: str) -> dict[str, str]:
    """The Spark type of each feature of a service, in its order."""
    return {name: view.types[name] for view, names in service_views(service) for name in names}


def service_key(service: str) -> Key:
    """The entity that a service's views share."""
    return service_views(service)[0][0].key


def service_views(service: str) -> tuple[tuple[View, tuple[str, ...]], ...]:
    """The views of a service, each with the features that are taken of it; raises BadInput with the known services."""
    if service not in SERVICES:
        raise BadInput(f"there is no feature service {service!r}: expected one of {', '.join(SERVICES)}")
    return SERVICES[service]


def definitions(settings: Settings) -> list[Entity | FeatureView | FeatureService]:
    """Feast's objects over the lake of `settings`, for `apply`."""
    from feast import Entity, FeatureService, ValueType

    entities = {key.name: Entity(name=key.name, join_keys=[key.join_key], value_type=ValueType.STRING) for key in KEYS}
    views = {view.name: _feature_view(view, entities[view.key.name], Lake(settings.lake_url)) for view in VIEWS}
    services = [
        FeatureService(name=name, features=[views[view.name][list(names)] for view, names in parts]) for name, parts in SERVICES.items()
    ]
    return [*entities.values(), *views.values(), *services]


def _feature_view(view: View, entity: Entity, lake: Lake) -> FeatureView:
    from feast import FeatureView, Field
    from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SparkSource
    from feast.table_format import DeltaFormat
    from feast.types import Float64, String

    kinds = {"double": Float64, "string": String}
    # the lake partitions by month: Feast then reads only the months that a point-in-time join can need
    source = SparkSource(
        name=view.name, path=lake.path(view.table), table_format=DeltaFormat(), timestamp_field=KNOWN_AT,
        date_partition_column=MONTH, date_partition_column_format="%Y-%m", description=view.table.doc,
    )  # fmt: skip
    schema = [Field(name=name, dtype=kinds[view.types[name]]) for name in (view.key.join_key, *view.features)]
    return FeatureView(name=view.name, entities=[entity], ttl=view.max_age, schema=schema, source=source, description=view.table.doc)
