"""What a set holds twice: rank correlations of a sample of rows, clusters of factors that move together."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["clusters", "rank_correlations", "repeated"]

F64 = npt.NDArray[np.float64]

MIN_ROWS = 10
TOGETHER = 0.7
SAME = 0.9999


def rank_correlations(sample: F64) -> F64:
    """Spearman correlations of the columns of ``sample`` (rows, F), each pair over its common rows; NaN where one does not vary.

    Ranks are taken once per column, over its own known rows.

    >>> rank_correlations(np.column_stack([np.arange(20.0), np.arange(20.0) ** 3, -np.arange(20.0)])).round(6).tolist()
    [[1.0, 1.0, -1.0], [1.0, 1.0, -1.0], [-1.0, -1.0, 1.0]]
    """
    from scipy.stats import rankdata

    known = np.isfinite(sample)
    ranks = np.zeros(sample.shape)
    for column in range(sample.shape[1]):
        rows = known[:, column]
        if rows.any():
            place = rankdata(sample[rows, column])
            ranks[rows, column] = (place - place.mean()) / len(place)
    m = known.astype(np.float64)
    n, first, second = m.T @ m, ranks.T @ m, (ranks * ranks).T @ m  # first[i, j]: sum of i over the rows that j knows too
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = second - first * first / n
        both = spread * spread.T
        cross = ranks.T @ ranks - first * first.T / n
        found = np.where(
            (n >= MIN_ROWS) & (spread > 1e-12) & (spread.T > 1e-12), cross / np.sqrt(np.maximum(both, 1e-300)), np.nan
        )
    return np.asarray(np.clip(found, -1.0, 1.0), dtype=np.float64)


def repeated(sample: F64) -> tuple[list[int], list[tuple[int, int, float]]]:
    """Constant columns of ``sample`` (rows, F), and pairs of columns that say the same: equal, or abs(Pearson) above 0.9999.

    >>> x = np.arange(20.0)
    >>> repeated(np.column_stack([x, 3 - 2 * x, np.ones(20), x**2]))
    ([2], [(0, 1, -1.0)])
    """
    known = np.isfinite(sample)
    centre = np.array([column[rows].mean() if rows.any() else 0.0 for column, rows in zip(sample.T, known.T, strict=True)])
    x, m = np.where(known, sample - centre, 0.0), known.astype(np.float64)
    constant = [at for at in range(sample.shape[1]) if known[:, at].any() and np.ptp(sample[known[:, at], at]) == 0.0]
    n, first, second = m.T @ m, x.T @ m, (x * x).T @ m
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = second - first * first / n
        found = (x.T @ x - first * first.T / n) / np.sqrt(spread * spread.T)
    alike = (n >= MIN_ROWS) & (np.abs(found) > SAME)
    alike[constant] = alike[:, constant] = False
    return constant, [(int(i), int(j), round(float(found[i, j]), 6)) for i, j in np.argwhere(np.triu(alike, 1))]


def clusters(correlations: F64, *, together: float = TOGETHER) -> tuple[list[int], list[int]]:
    """Order of the factors for a correlation map, and the cluster of each factor (numbered from 1 along the order).

    Average linkage on 1 - abs(correlation), cut at 1 - ``together``; unknown correlations count as none.

    >>> order, cluster = clusters(np.array([[1, 0.1, 0.9], [0.1, 1, 0.0], [0.9, 0.0, 1]]))
    >>> cluster[0] == cluster[2] != cluster[1], abs(order.index(0) - order.index(2))
    (True, 1)
    """
    from scipy.cluster.hierarchy import fcluster, leaves_list, linkage
    from scipy.spatial.distance import squareform

    size = len(correlations)
    if size < 2:
        return list(range(size)), [1] * size
    distance = 1.0 - np.abs(np.nan_to_num((correlations + correlations.T) / 2.0))
    np.fill_diagonal(distance, 0.0)
    tree = linkage(squareform(distance, checks=False), method="average")
    order = [int(leaf) for leaf in leaves_list(tree)]
    found = fcluster(tree, 1.0 - together, criterion="distance")
    numbers: dict[int, int] = {}
    for leaf in order:
        numbers.setdefault(int(found[leaf]), len(numbers) + 1)
    return order, [numbers[int(label)] for label in found]
