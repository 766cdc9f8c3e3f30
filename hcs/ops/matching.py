"""How well found objects match drawn ones: counts, and F1 of pairs that overlap enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse


@dataclass(frozen=True, slots=True)
class Match:
    """Objects of one image.

    Attributes
    ----------
    n_drawn, n_found, n_matched
        Numbers of objects.
    """

    n_drawn: int
    n_found: int
    n_matched: int

    def __add__(self, other: Match) -> Match:
        """Count the objects of two images together."""
        return Match(
            self.n_drawn + other.n_drawn,
            self.n_found + other.n_found,
            self.n_matched + other.n_matched,
        )

    @property
    def f1(self) -> float:
        """2 × matched / (drawn + found); 1 where there is nothing and nothing was found."""
        both = self.n_drawn + self.n_found
        return 2 * self.n_matched / both if both else 1.0


def match_objects(drawn: NDArray[Any], found: NDArray[Any], least_iou: float = 0.5) -> Match:
    """Pair objects whose intersection is more than a share of their union.

    From 0.5 on pairs are unique by themselves (Caicedo 2019, doi 10.1038/s41592-019-0612-7).

    Parameters
    ----------
    drawn, found
        Shape (Y, X): 0 background, else the object number.
    least_iou
        Intersection over union that a pair must exceed, at least 0.5.
    """
    _, one = np.unique(np.append(drawn.ravel(), 0), return_inverse=True)
    _, other = np.unique(np.append(found.ravel(), 0), return_inverse=True)
    one, other = one[:-1], other[:-1]
    shape = (int(one.max(initial=0)) + 1, int(other.max(initial=0)) + 1)
    both = sparse.coo_array((np.ones(one.size, np.int64), (one, other)), shape).tocsr().tocoo()
    areas, widths = np.bincount(one, minlength=shape[0]), np.bincount(other, minlength=shape[1])
    row, column = both.coords
    union = areas[row] + widths[column] - both.data
    pairs = (row > 0) & (column > 0) & (both.data > least_iou * union)
    return Match(shape[0] - 1, shape[1] - 1, int(pairs.sum()))
