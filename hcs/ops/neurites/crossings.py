"""Crossing neurites told from branches: who goes on where, and what is hidden under another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hcs.domain.tuning.lines import NeuriteTuning
from hcs.domain.tuning.sets import DEFAULTS
from hcs.ops.neurites.branches import FREE, Branches, Indices, walk
from hcs.ops.neurites.graph import PixelGraph


@dataclass(frozen=True, slots=True)
class Crossings:
    """What was found at the junctions of a skeleton.

    Attributes
    ----------
    shared
        Branches that two neurites run along together, shape (B,).
    links
        Pairs of pixels at which one neurite goes on from branch to branch, shape (L, 2).
    n_crossings
        Number of places where two neurites cross.
    branchings
        Junctions at which a neurite divides, shape (J,).
    """

    shared: NDArray[np.bool_]
    links: Indices
    n_crossings: int
    branchings: Indices


@dataclass(frozen=True, slots=True)
class _Arms:
    """Ends of branches at junctions: branch, side, junction, pixel and direction of each."""

    branch: Indices
    side: Indices
    junction: Indices
    pixel: Indices
    direction: NDArray[np.float64]

    def find_meeting(self, count: int) -> Indices:
        """Arms of the junctions where so many arms meet, shape (J, count)."""
        degree = np.bincount(self.junction)
        chosen = np.flatnonzero(degree[self.junction] == count)
        order = np.argsort(self.junction[chosen], kind="stable")
        return chosen[order].reshape(-1, count)


def find_crossings(
    graph: PixelGraph,
    branches: Branches,
    points: NDArray[np.float64],
    width_px: float,
    tuning: NeuriteTuning = DEFAULTS.neurites,
) -> Crossings:
    """Tell crossings from branchings.

    Two lines that cross leave one junction of four arms, or two junctions of three arms with a
    short piece between that both lines share. The second is recognized by the arms at both of its
    ends going on along the piece; arms are then paired so that each line turns least.

    Parameters
    ----------
    graph, branches
        The skeleton.
    points
        Smoothed positions of its pixels, shape (N, 2).
    width_px
        Width of a neurite.
    tuning
        Constants of the kernel.

    Returns
    -------
    Crossings
        No crossing in a skeleton without junctions.
    """
    arms = _find_arms(graph, branches, points, width_px, tuning)
    triples = arms.find_meeting(3)
    opening, others = _openings(arms, triples, tuning)
    lengths = branches.n_pixels
    both = np.zeros((branches.count, 2), np.intp) + FREE
    both[arms.branch, arms.side] = np.arange(arms.branch.size)
    inner = (both != FREE).all(axis=1)
    shared = inner & (lengths <= tuning.crossings.max_shared_widths * width_px)
    shared[shared] = (others[both[shared], 0] != FREE).all(axis=1)
    goes_on = opening[both[shared]].all(axis=1)
    is_knot = lengths[shared] <= tuning.crossings.knot_widths * width_px
    shared[shared] = goes_on | (is_knot & _is_straight(arms, both[shared], others, tuning))
    pairs, resolved = _pair_across(arms, both[shared], others)
    fours, lone = _pair_in_one(arms, arms.find_meeting(4), tuning)
    resolved = np.union1d(resolved, arms.junction[fours[:, 0]]) if fours.size else resolved
    open_triples = triples[~np.isin(arms.junction[triples[:, 0]], resolved)]
    links = [pairs, fours, lone, *_all_pairs(open_triples)]
    links.extend(_all_pairs(arms.find_meeting(2)))
    merged = np.concatenate([part.reshape(-1, 2) for part in links])
    n_crossings = int(shared.sum()) + len(fours) // 2
    dividing = np.concatenate([open_triples[:, 0], lone[:, 0]])
    branchings = np.unique(arms.junction[dividing])
    return Crossings(shared, arms.pixel[merged], n_crossings, branchings)


def _find_arms(
    graph: PixelGraph,
    branches: Branches,
    points: NDArray[np.float64],
    width_px: float,
    tuning: NeuriteTuning,
) -> _Arms:
    branch, side = np.nonzero(branches.junctions != FREE)
    at = branches.ends[branch, side]
    inward = walk(graph, at, max(round(tuning.crossings.direction_widths * width_px), 2))[:, -1]
    n_junctions = branches.n_junctions
    junction = branches.junctions[branch, side]
    members = np.flatnonzero(branches.junction_of_pixel >= 0)
    of = branches.junction_of_pixel[members]
    size = np.maximum(np.bincount(of, minlength=n_junctions), 1)
    centers = np.stack(
        [np.bincount(of, points[members, axis], n_junctions) / size for axis in range(2)], axis=1
    )
    direction = points[inward] - centers[junction]
    direction /= np.maximum(np.linalg.norm(direction, axis=1, keepdims=True), 1e-9)
    return _Arms(branch, side, junction, at, direction)


def _openings(
    arms: _Arms, triples: Indices, tuning: NeuriteTuning
) -> tuple[NDArray[np.bool_], Indices]:
    """For every arm of a triple junction: do the other two go on along it, and which are they."""
    opening = np.zeros(arms.branch.size, bool)
    others = np.full((arms.branch.size, 2), FREE)
    for place in range(3):
        arm, one, other = np.roll(triples, -place, axis=1).T
        turn = [-(arms.direction[arm] * arms.direction[k]).sum(axis=1) for k in (one, other)]
        opening[arm] = np.minimum(*turn) > tuning.crossings.opening_cosine
        others[arm] = np.stack([one, other], axis=1)
    return opening, others


def _is_straight(
    arms: _Arms, ends: Indices, others: Indices, tuning: NeuriteTuning
) -> NDArray[np.bool_]:
    """Whether the arms at both ends of each piece are two lines that go straight on."""
    pairs = _match_arms(arms, others[ends[:, 0]], others[ends[:, 1]])
    cosine = _cosine(arms, pairs[..., 0].ravel(), pairs[..., 1].ravel()).reshape(-1, 2)
    straight: NDArray[np.bool_] = cosine.mean(axis=1) < tuning.crossings.straight_cosine
    return straight


def _match_arms(arms: _Arms, here: Indices, there: Indices) -> Indices:
    """Pair two arms here with two arms there so that they turn least; shape (P, 2, 2)."""
    straight = _cosine(arms, here[:, 0], there[:, 0]) + _cosine(arms, here[:, 1], there[:, 1])
    swapped = _cosine(arms, here[:, 0], there[:, 1]) + _cosine(arms, here[:, 1], there[:, 0])
    there = np.where((swapped < straight)[:, None], there[:, ::-1], there)
    return np.stack([here, there], axis=2)


def _pair_across(arms: _Arms, ends: Indices, others: Indices) -> tuple[Indices, Indices]:
    """Pair the arms at both ends of shared pieces; also which junctions that settles."""
    if ends.size == 0:
        return np.zeros((0, 2), np.intp), np.zeros(0, np.intp)
    pairs = _match_arms(arms, others[ends[:, 0]], others[ends[:, 1]])
    through = pairs.reshape(-1, 2)
    # The shared piece itself goes with the first of the two.
    piece = np.stack([ends[:, 0], pairs[:, 0, 0]], axis=1)
    return np.concatenate([through, piece]), np.unique(arms.junction[ends])


def _pair_in_one(arms: _Arms, fours: Indices, tuning: NeuriteTuning) -> tuple[Indices, Indices]:
    """Pair the four arms of a junction; arms of junctions that are no crossing are all linked."""
    none = np.zeros((0, 2), np.intp)
    if fours.size == 0:
        return none, none
    pairings = ((0, 1, 2, 3), (0, 2, 1, 3), (0, 3, 1, 2))
    costs = np.stack(
        [
            (_cosine(arms, fours[:, a], fours[:, b]) + _cosine(arms, fours[:, c], fours[:, d])) / 2
            for a, b, c, d in pairings
        ],
        axis=1,
    )
    best = np.array(pairings)[costs.argmin(axis=1)]
    paired = np.take_along_axis(fours, best, axis=1)
    crosses = costs.min(axis=1) < tuning.crossings.straight_cosine
    alone = fours[~crosses]
    return paired[crosses].reshape(-1, 2), np.concatenate([none, *_all_pairs(alone)])


def _cosine(arms: _Arms, one: Indices, other: Indices) -> NDArray[np.float64]:
    cosine: NDArray[np.float64] = (arms.direction[one] * arms.direction[other]).sum(axis=1)
    return cosine


def _all_pairs(groups: Indices) -> list[Indices]:
    count = groups.shape[1]
    return [groups[:, [i, j]] for i in range(count) for j in range(i + 1, count)]
