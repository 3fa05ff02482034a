"""The service's own Prometheus metrics; BentoML serves them at `/metrics` beside its request metrics."""

from __future__ import annotations

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """Counters and gauges of one process. Make it once a process: Prometheus refuses a name twice."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._items = Counter("shelfcast_items_total", "Request items by outcome", ["family", "outcome"], registry=registry)
        self._seconds = Histogram(
            "shelfcast_answer_seconds", "Seconds to answer a request", ["family"], buckets=_SECONDS, registry=registry
        )
        self._version = Gauge(
            "shelfcast_model_serving", "1 for the version in service", ["family", "alias", "version"],
            registry=registry, multiprocess_mode="livemax",
        )  # fmt: skip
        self._refused = Counter(
            "shelfcast_model_refused_total", "Versions that failed their check", ["family", "version"], registry=registry
        )
        self._reachable = Gauge(
            "shelfcast_registry_reachable", "1 while the registry answers", registry=registry, multiprocess_mode="livemin"
        )
        self._features = Gauge(
            "shelfcast_features_known_at_seconds", "When the features of the last answer were known, Unix time", ["family"],
            registry=registry, multiprocess_mode="livemax",
        )  # fmt: skip
        self._dropped = Counter("shelfcast_events_dropped_total", "Prediction events lost to a full queue or disk", registry=registry)
        self._deleted = Counter(
            "shelfcast_events_deleted_bytes_total", "Bytes of the oldest prediction events, deleted to make room", registry=registry
        )
        self._shadow = Counter(
            "shelfcast_shadow_items_total", "Items the challenger scored in the shadow", ["family", "outcome"], registry=registry
        )

    def answered(self, family: str, seconds: float, good: int, bad: int) -> None:
        """A request of `good + bad` items was answered."""
        self._seconds.labels(family).observe(seconds)
        self._items.labels(family, "ok").inc(good)
        self._items.labels(family, "error").inc(bad)

    def shadowed(self, family: str, good: int, bad: int) -> None:
        """The challenger scored a request in the shadow."""
        self._shadow.labels(family, "ok").inc(good)
        self._shadow.labels(family, "error").inc(bad)

    def serving(self, family: str, alias: str, before: str | None, now: str) -> None:
        """`now` took the place of `before`."""
        if before is not None:
            self._version.labels(family, alias, before).set(0)
        self._version.labels(family, alias, now).set(1)

    def gone(self, family: str, alias: str, version: str) -> None:
        """The version serves as `alias` no more, and none in its place."""
        self._version.labels(family, alias, version).set(0)

    def unanswered(self, family: str, items: int) -> None:
        """A request could not be answered at all."""
        self._items.labels(family, "error").inc(items)

    def refused(self, family: str, version: str) -> None:
        """A version failed its check."""
        self._refused.labels(family, version).inc()

    def registry_reachable(self, yes: bool) -> None:
        """Whether the registry answered the last poll."""
        self._reachable.set(1 if yes else 0)

    def features_of(self, family: str, seconds: float) -> None:
        """A request was answered by features known at that time (Unix seconds)."""
        self._features.labels(family).set(seconds)

    def dropped(self, count: int) -> None:
        """Prediction events were lost."""
        self._dropped.inc(count)

    def deleted(self, size: int) -> None:
        """So many bytes of the oldest prediction events were deleted."""
        self._deleted.inc(size)
