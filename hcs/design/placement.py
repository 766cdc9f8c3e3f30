"""Deals clones to the wells of a plate at random, balanced over rows, columns and edge distance.

The balance is heuristic: a random deal is improved by exchanging wells as long as that lowers a sum
of χ² statistics. A clone of four wells cannot stand in each of eight rows, so what is reached is
near the best, not proven to be it; :mod:`hcs.design.layout_bias` measures what is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hcs.design.blinding import draw_keyed_words
from hcs.domain.wells import PlateFormat, Well
from hcs.errors import InputError

Codes = NDArray[np.intp]

_TRIES_PER_WELL: Final = 150
_MAX_TRIES: Final = 120_000
_RINGS: Final = 3
"""Edge distances 0, 1, and 2 or more: beyond the second ring plates are found even."""

_CLASS_WEIGHT: Final = 4.0
"""An imbalance of the diagnosis misleads a classifier; one of a single clone only its score."""


def edge_distance(well: Well, plate_format: PlateFormat) -> int:
    """Wells between this one and the nearest edge of the plate; 0 on the edge."""
    right = plate_format.n_columns - 1 - well.column
    below = plate_format.n_rows - 1 - well.row
    return min(well.row, well.column, right, below)


def usable_wells(
    plate_format: PlateFormat, skip_edge: int, exclude: frozenset[Well]
) -> tuple[Well, ...]:
    """Wells that may be filled, row by row.

    Raises
    ------
    InputError
        When an excluded well does not exist, or none is left.
    """
    outside = sorted(well.name for well in exclude if not plate_format.holds(well))
    if outside:
        msg = f"excluded wells {', '.join(outside)} lie outside a plate of {plate_format.n_wells}"
        raise InputError(msg)
    wells = tuple(
        well
        for well in plate_format.wells()
        if well not in exclude and edge_distance(well, plate_format) >= skip_edge
    )
    if not wells:
        msg = f"no well of a plate of {plate_format.n_wells} is left to fill"
        raise InputError(msg)
    return wells


def deal(
    wells: Sequence[Well],
    plate_format: PlateFormat,
    groups: Sequence[tuple[str, int]],
    class_of: Sequence[str | None],
    draw: tuple[str, str, int],
) -> dict[Well, str]:
    """Deal groups (clones) to wells, each to as many as it asks for.

    Parameters
    ----------
    wells
        Wells that may be filled. Those left over stay empty, and are balanced like a clone.
    plate_format
        The plate.
    groups
        Name and number of wells of each clone; at least one.
    class_of
        Class (diagnosis, or a control's role) of each clone; None counts as a class of its own.
    draw
        Secret, plate name and seed: the same give the same layout.

    Returns
    -------
    dict
        Name of the group by well, empty wells left out; row by row.

    Raises
    ------
    InputError
        When there are fewer wells than are asked for.
    """
    n_asked = sum(count for _, count in groups)
    if n_asked > len(wells):
        msg = (
            f"{len(groups)} clones ask for {n_asked} wells, and a plate of {plate_format.n_wells} "
            f"has {len(wells)} to fill: fewer wells a clone, fewer clones, or a larger plate"
        )
        raise InputError(msg)
    names = [name for name, _ in groups]
    group = np.repeat(np.arange(len(groups)), [count for _, count in groups])
    group = np.concatenate([group, np.full(len(wells) - n_asked, len(groups))])
    kinds = sorted({str(kind) for kind in class_of})
    class_of_group = np.array([*(kinds.index(str(kind)) for kind in class_of), len(kinds)])
    secret, plate, seed = draw
    words = draw_keyed_words(secret, len(wells), "deal", plate, seed)
    group = group[np.argsort(words, kind="stable")]
    tries = min(_MAX_TRIES, _TRIES_PER_WELL * len(wells))
    swaps = draw_keyed_words(secret, 2 * tries, "exchange", plate, seed) % np.uint64(len(wells))
    levels = _levels(wells, plate_format)
    dealt = _improve(group, class_of_group, levels, swaps.astype(np.intp).reshape(-1, 2))
    return {
        well: names[number]
        for well, number in zip(wells, dealt.tolist(), strict=True)
        if number < len(names)
    }


def _levels(wells: Sequence[Well], plate_format: PlateFormat) -> list[Codes]:
    """Row, column and ring of every well."""
    return [
        np.array([well.row for well in wells]),
        np.array([well.column for well in wells]),
        np.array([min(edge_distance(well, plate_format), _RINGS - 1) for well in wells]),
    ]


def _improve(group: Codes, class_of_group: Codes, levels: Sequence[Codes], swaps: Codes) -> Codes:
    """Exchange pairs of wells wherever that does not raise the sum of χ²."""
    dealt: list[int] = group.tolist()
    kind: list[int] = class_of_group.tolist()
    places = [level.tolist() for level in levels]
    tables = [
        (_Excess(group, level, 1.0), _Excess(class_of_group[group], level, _CLASS_WEIGHT))
        for level in levels
    ]
    for a, b in swaps.tolist():
        one, other = dealt[a], dealt[b]
        if one == other:
            continue
        change = 0.0
        for place, (by_group, by_class) in zip(places, tables, strict=True):
            if place[a] != place[b]:
                change += by_group.exchange(one, other, place[a], place[b])
                if kind[one] != kind[other]:
                    change += by_class.exchange(kind[one], kind[other], place[a], place[b])
        if change > 0:
            continue
        for place, (by_group, by_class) in zip(places, tables, strict=True):
            by_group.move(one, other, place[a], place[b])
            by_class.move(kind[one], kind[other], place[a], place[b])
        dealt[a], dealt[b] = other, one
    return np.array(dealt, dtype=np.intp)


class _Excess:
    """Wells of each group in each row (or column, or ring) beyond what is expected of chance.

    Plain lists: one exchange touches four cells, for which NumPy is ten times slower.
    """

    def __init__(self, group: Codes, level: Codes, weight: float) -> None:
        counts = np.zeros((int(group.max()) + 1, int(level.max()) + 1))
        np.add.at(counts, (group, level), 1)
        expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / len(group)
        safe = np.where(expected > 0, expected, 1.0)
        self._excess: list[list[float]] = (counts - expected).tolist()
        self._weight: list[list[float]] = (weight / safe).tolist()

    def exchange(self, one: int, other: int, here: int, there: int) -> float:
        """Change of χ² when a well of ``one`` moves there, and one of ``other`` here."""
        first, second = self._excess[one], self._excess[other]
        at_first, at_second = self._weight[one], self._weight[other]
        return (
            at_first[here] * (1 - 2 * first[here])
            + at_first[there] * (1 + 2 * first[there])
            + at_second[there] * (1 - 2 * second[there])
            + at_second[here] * (1 + 2 * second[here])
        )

    def move(self, one: int, other: int, here: int, there: int) -> None:
        """Do the exchange."""
        self._excess[one][here] -= 1
        self._excess[one][there] += 1
        self._excess[other][there] -= 1
        self._excess[other][here] += 1
