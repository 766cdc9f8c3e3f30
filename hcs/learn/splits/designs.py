"""Place units (clones, or donors with all their clones) in roles, as evenly as arithmetic allows.

Two designs: *even* for clones that are all independent, exact by construction; *donor* for units of
several clones, where exact counts are a small integer programme for every split.
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp

from hcs.domain.columns import Role
from hcs.domain.splits import ROLES, RoleCounts
from hcs.learn.counters import uniforms

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int_]
Design = dict[Role, BoolArray]
"""For each role, which unit (column) has it in which split (row)."""

Key = tuple[str | int, ...]
"""What random numbers are drawn for: purpose, seed, attempt, class; see hcs.learn.counters."""

_TIE_BREAK = 0.3  # below 1, so that chance decides only between equally used units


def even_design(n_units: int, n_splits: int, counts: RoleCounts, key: Key) -> Design:
    """Place independent units: numbers of appearances in test, and in validation, differ by ≤ 1.

    Parameters
    ----------
    n_units
        Units of one class; at least the sum of the counts.
    n_splits
        Rows of the answer.
    counts
        Units per split in each role.
    key
        Names the random numbers that choose between equally used units.

    Returns
    -------
    Design
        For each role a boolean array ``(n_splits, n_units)``.
    """
    nobody = np.zeros((n_splits, n_units), bool)
    chance = uniforms(len(ROLES) * nobody.size, *key).reshape(len(ROLES), *nobody.shape)
    test = _least_used_first(nobody, counts.test, chance[0])
    validation = _level(_least_used_first(test, counts.validation, chance[1]), test)
    train = _least_used_first(test | validation, counts.train, chance[2])
    return {Role.TRAIN: train, Role.VALIDATION: validation, Role.TEST: test}


def _least_used_first(taken: BoolArray, per_split: int, chance: NDArray[np.float64]) -> BoolArray:
    """Choose in every split those least chosen so far among the units not taken."""
    chosen = np.zeros_like(taken)
    used = np.zeros(taken.shape[1], int)
    for row, blocked in enumerate(taken):
        order = np.lexsort((chance[row], used, blocked))
        chosen[row, order[:per_split]] = True
        used += chosen[row]
    return chosen


def _level(chosen: BoolArray, taken: BoolArray) -> BoolArray:
    """Exchange units between splits until their numbers of appearances differ by at most 1.

    Least-used-first cannot see that a unit will be taken later. A unit too often chosen hands one
    split to a free unit, if need be through others in between: an augmenting path, as in maximum
    flow (Ford and Fulkerson 1956, doi 10.4153/CJM-1956-045-5).
    """
    chosen = chosen.copy()
    while np.ptp(used := chosen.sum(axis=0)) > 1:
        free = ~(chosen | taken)
        can_hand_over = (chosen.T.astype(int) @ free.astype(int)) > 0
        path = _path(can_hand_over, used == used.max(), used == used.min())
        if path is None:
            break
        for giver, taker in pairwise(path):
            row = int(np.flatnonzero(chosen[:, giver] & free[:, taker])[0])
            chosen[row, giver], chosen[row, taker] = False, True
    return chosen


def _path(edges: BoolArray, starts: BoolArray, ends: BoolArray) -> list[int] | None:
    """Shortest path from any start to any end in a directed graph; None where there is none."""
    came_from = {int(start): -1 for start in np.flatnonzero(starts)}
    queue = deque(came_from)
    while queue:
        here = queue.popleft()
        if ends[here]:
            path = [here]
            while came_from[path[-1]] >= 0:
                path.append(came_from[path[-1]])
            return path[::-1]
        for following in np.flatnonzero(edges[here]):
            if int(following) not in came_from:
                came_from[int(following)] = here
                queue.append(int(following))
    return None


def donor_design(sizes: IntArray, n_splits: int, counts: RoleCounts, key: Key) -> Design:
    """Place whole donors so that every split meets the counts exactly, least-used donors first.

    Parameters
    ----------
    sizes
        ``(n_donors, n_classes)``: how many groups of each class a donor has.
    n_splits, counts, key
        As for :func:`even_design`. The first splits are the same whatever ``n_splits`` is.

    Returns
    -------
    Design
        For each role a boolean array ``(n_splits, n_donors)``. Whether every donor is covered
        depends on ``n_splits``.

    Raises
    ------
    ValueError
        When no placement of donors meets the counts; ask :func:`donor_faults` first.
    """
    n_donors = len(sizes)
    design = {role: np.zeros((n_splits, n_donors), bool) for role in ROLES}
    weight = sizes.sum(axis=1)
    for row in range(n_splits):
        used = np.stack([design[role].sum(axis=0) for role in ROLES])
        # Sum of squares of the appearances grows least when costs are the appearances so far.
        chance = uniforms(used.size, *key, row).reshape(used.shape)
        ties = _TIE_BREAK / max(1, int(weight.sum()))
        placed = _place(sizes, counts, (used + ties * chance) * weight)
        if placed is None:
            msg = "no placement of whole donors meets the counts"
            raise ValueError(msg)
        for number, role in enumerate(ROLES):
            design[role][row] = placed[number]
    return design


def donor_faults(sizes: IntArray, counts: RoleCounts, names: list[str]) -> list[str]:
    """Say which donors can never stand in validation or test because of their sizes.

    Parameters
    ----------
    sizes
        ``(n_donors, n_classes)``: how many groups of each class a donor has.
    counts
        Groups per class in each role.
    names
        Names of the donors, for the messages.

    Returns
    -------
    list of str
        Sentences; empty when every donor can stand in both roles.
    """
    nothing = np.zeros((len(ROLES), len(sizes)))
    if _place(sizes, counts, nothing) is None:
        shape = ", ".join(str(tuple(int(k) for k in row)) for row in np.unique(sizes, axis=0))
        fault = (
            f"donors stay together, and no choice of whole donors gives train {counts.train}, "
            f"validation {counts.validation} and test {counts.test} groups of every class "
            f"(groups per class of the donors: {shape})"
        )
        return [fault]
    faults = []
    alike: dict[tuple[int, ...], list[int]] = {}
    for number, row in enumerate(sizes):
        alike.setdefault(tuple(int(k) for k in row), []).append(number)
    for members in alike.values():
        for role in (Role.VALIDATION, Role.TEST):
            if _place(sizes, counts, nothing, forced=(ROLES.index(role), members[0])) is None:
                listed = ", ".join(names[member] for member in members)
                faults.append(
                    f"{listed} can never stand in {role}: whole donors never add up to "
                    f"{getattr(counts, role.value)} groups per class there with "
                    f"{_size(sizes[members[0]])} of theirs"
                )
    return faults


def _size(groups_per_class: IntArray) -> str:
    size = int(groups_per_class.sum())
    return f"{size} group{'s' if size != 1 else ''}"


def _place(
    sizes: IntArray,
    counts: RoleCounts,
    costs: NDArray[np.float64],
    forced: tuple[int, int] | None = None,
) -> BoolArray | None:
    """Cheapest roles ``(3, n_donors)`` that meet the counts; None when nothing does."""
    n_roles, n_donors = costs.shape
    asked = np.repeat([getattr(counts, role.value) for role in ROLES], sizes.shape[1])
    meets_counts = LinearConstraint(np.kron(np.eye(n_roles), sizes.T), asked, asked)
    one_role = LinearConstraint(np.tile(np.eye(n_donors), n_roles), 0, 1)
    lowest = np.zeros((n_roles, n_donors))
    if forced is not None:
        lowest[forced] = 1
    found = milp(
        costs.ravel(),
        integrality=np.ones(costs.size, dtype=np.int_),
        bounds=Bounds(lowest.ravel(), 1),
        constraints=[meets_counts, one_role],
        options={"mip_rel_gap": 0},
    )
    if found.x is None:
        return None
    placed: BoolArray = np.round(found.x).reshape(costs.shape).astype(bool)
    return placed
