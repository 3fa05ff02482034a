"""Item-item models against their definitions."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from training.recommend.similar import cosine, ease, most_sold


def _rows(seed: int = 4) -> sparse.csr_matrix:
    return sparse.csr_matrix((np.random.default_rng(seed).random((80, 9)) < 0.3).astype(np.float32))


def test_ease_is_ridge_regression_of_each_product_on_the_others() -> None:
    rows, ridge = _rows(), 7.0
    model = ease(rows, np.arange(9), ridge)
    dense = rows.toarray().astype(float)
    for product in range(9):
        others = np.delete(np.arange(9), product)
        left = dense[:, others]
        expected = np.linalg.solve(left.T @ left + ridge * np.eye(8), left.T @ dense[:, product])
        np.testing.assert_allclose(model.weights[others, product], expected, atol=1e-5)
    assert (np.diag(model.weights) == 0).all()


def test_cosine_is_shrunk_co_occurrence() -> None:
    rows = _rows()
    model = cosine(rows, np.arange(9), 3.0)
    dense = rows.toarray()
    both, n = dense.T @ dense, dense.sum(axis=0)
    assert np.isclose(model.weights[2, 5], both[2, 5] / (np.sqrt(n[2] * n[5]) + 3.0))


def test_most_sold_keeps_the_largest_counts_in_order() -> None:
    rows = _rows()
    counts = np.asarray(rows.sum(axis=0)).ravel()
    chosen = most_sold(rows, 4)
    assert (np.diff(chosen) > 0).all()
    assert counts[chosen].min() >= np.sort(counts)[-4]
