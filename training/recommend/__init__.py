"""Recommendations: what a customer will buy again, what is new to them, and what completes a basket."""

from __future__ import annotations

#from training.recommend.recommend import recommend, recommend_file

__all__ = ["recommend", "recommend_file"]
