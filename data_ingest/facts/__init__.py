"""The daily facts: silver tables recomputed from bronze, for the days that new events touch and no others."""

from data_ingest.facts.story import FactsSummary, facts

__all__ = ["FactsSummary", "facts"]
