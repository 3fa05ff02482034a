"""Which products go together: linear item-item models over customers or baskets, closed form and dense over the most
sold products only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

#: products that take part: the Gram matrix is dense, products x products in float32 (64 MB)
MOST_SOLD = 4000
#: rows of a matrix scored at a time
BLOCK = 1024


@dataclass(frozen=True)
class ItemModel:
    """`weights` (products' positions squared, float32) says how much having the row product speaks for the column's;
    `products` lists the products' numbers, `position` turns a number into a position or -1."""

    products: np.ndarray
    position: np.ndarray
    weights: np.ndarray

    def scores(self, rows: sparse.csr_matrix) -> np.ndarray:
        """Scores (rows x positions) of a few rows over all products' numbers."""
        return np.asarray(rows[:, self.products] @ self.weights)


def most_sold(rows: sparse.csr_matrix, at_most: int = MOST_SOLD) -> np.ndarray:
    """Numbers of the columns with the most entries, at least 2, ascending; ties go to the smaller number."""
    counts = np.bincount(rows.indices, minlength=rows.shape[1])
    top = np.argsort(-counts, kind="stable")[:at_most]
    return np.sort(top[counts[top] >= 2])


def ease(rows: sparse.csr_matrix, products: np.ndarray, ridge: float) -> ItemModel:
    """The linear autoencoder with an empty diagonal (Steck 2019, EASE): ridge regression of each product on all others,
    in closed form from the inverse of the regularised Gram matrix."""
    chosen = rows[:, products].tocsr()
    gram = (chosen.T @ chosen).toarray().astype(np.float32)
    gram[np.diag_indices_from(gram)] += ridge
    inverse = _inverse(gram)
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    return ItemModel(products, positions(products, rows.shape[1]), weights)


def cosine(rows: sparse.csr_matrix, products: np.ndarray, shrink: float) -> ItemModel:
    """Shrunk cosine: co-occurrences / (sqrt(n_i n_j) + shrink)."""
    chosen = rows[:, products].tocsr()
    gram = (chosen.T @ chosen).toarray().astype(np.float32)
    norm = np.sqrt(np.diag(gram))
    gram /= np.outer(norm, norm) + shrink
    np.fill_diagonal(gram, 0.0)
    return ItemModel(products, positions(products, rows.shape[1]), gram)


def positions(products: np.ndarray, total: int) -> np.ndarray:
    """Position of each of `total` product numbers in `products`, -1 where absent."""
    out = np.full(total, -1, dtype=np.int64)
    out[products] = np.arange(len(products))
    return out


def _inverse(matrix: np.ndarray) -> np.ndarray:
    """Inverse of a symmetric positive definite matrix by Cholesky."""
    from scipy.linalg.lapack import spotrf, spotri

    if not len(matrix):
        return matrix
    factor, info = spotrf(matrix, lower=True, overwrite_a=False)
    inverse, info_inverse = spotri(factor, lower=True, overwrite_c=True)
    if info or info_inverse:
        raise ArithmeticError("the regularised Gram matrix is not positive definite")
    return inverse + np.tril(inverse, -1).T
