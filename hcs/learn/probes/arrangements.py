"""The ways in which labels can be given out to clones: all of them where few, else shuffles."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from hcs.learn import counters
from hcs.learn.probes.heads import Cohort, IntArray

_MOST_CLASSES: Final = 6
"""Classes whose 720 exchanges are tried for symmetry."""


@dataclass(frozen=True)
class Arrangements:
    """Arrangements of a cohort's labels that are compared with the real one.

    Donors of one class exchange their label with donors that have as many groups, so that every
    class keeps its number of groups. A donor with groups of several classes keeps them, and
    exchanges the labels among them. Where there are no more arrangements than are wanted, each is
    taken once: drawing from twenty of them a hundred times makes p depend on the draw.

    Attributes
    ----------
    cohort
        Groups with label and donor.
    n_wanted
        How many arrangements beside the real one are wanted.
    seed
        Study seed.
    """

    cohort: Cohort
    n_wanted: int
    seed: int

    @cached_property
    def _pools(self) -> list[list[IntArray]]:
        """Sets of groups that exchange their labels; the groups of a set's item have one label."""
        pure: dict[int, list[IntArray]] = {}
        pools = []
        for owner in np.unique(self.cohort.owner).tolist():
            members = np.flatnonzero(self.cohort.owner == owner)
            if len(np.unique(self.cohort.label[members])) > 1:
                pools.append([np.array([member]) for member in members])
            else:
                pure.setdefault(len(members), []).append(members)
        return [*pure.values(), *pools]

    def _labels_of(self, pool: Sequence[IntArray]) -> list[int]:
        return [int(self.cohort.label[item[0]]) for item in pool]

    @cached_property
    def n_possible(self) -> int:
        """How many different arrangements there are, the real one among them."""
        return math.prod(_count_orders(self._labels_of(pool)) for pool in self._pools)

    @cached_property
    def n_alike(self) -> int:
        """How many arrangements are the real one but for the names of the classes.

        The AUC does not know which class is which, so these are as good as the real one, and no p
        can be below ``n_alike / n_possible``.
        """
        n_classes = self.cohort.n_classes
        if n_classes > _MOST_CLASSES:
            return 1
        pools = [Counter(self._labels_of(pool)) for pool in self._pools]
        return sum(
            all(Counter({renamed[k]: n for k, n in pool.items()}) == pool for pool in pools)
            for renamed in itertools.permutations(range(n_classes))
        )

    @property
    def are_all(self) -> bool:
        """Whether every arrangement is taken, each once."""
        return self.n_possible <= self.n_wanted + 1

    @property
    def n(self) -> int:
        """How many are compared, the real one among them."""
        return self.n_possible if self.are_all else self.n_wanted + 1

    @cached_property
    def _listed(self) -> list[IntArray]:
        """All arrangements, the real one first."""
        orders = [list(_list_orders(self._labels_of(pool))) for pool in self._pools]
        found = []
        for chosen in itertools.product(*orders):
            label = self.cohort.label.copy()
            for pool, order in zip(self._pools, chosen, strict=True):
                for item, value in zip(pool, order, strict=True):
                    label[item] = value
            found.append(label)
        found.sort(key=lambda label: not np.array_equal(label, self.cohort.label))
        return found

    def label(self, number: int) -> IntArray:
        """Classes ``(G,)`` of one arrangement; 0 is the real one."""
        if self.are_all:
            return self._listed[number]
        label = self.cohort.label.copy()
        for place, pool in enumerate(self._pools if number else ()):
            order = counters.permutation(len(pool), "shuffle", self.seed, number, place)
            values = np.asarray(self._labels_of(pool))[order]
            for item, value in zip(pool, values, strict=True):
                label[item] = value
        return label


def _count_orders(labels: Sequence[int]) -> int:
    repeats = math.prod(math.factorial(count) for count in Counter(labels).values())
    return math.factorial(len(labels)) // repeats


def _list_orders(labels: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Yield every different order of some labels."""
    if not labels:
        yield ()
        return
    for first in sorted(set(labels)):
        rest = list(labels)
        rest.remove(first)
        for others in _list_orders(rest):
            yield (first, *others)
