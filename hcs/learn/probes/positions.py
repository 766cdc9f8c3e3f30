"""Ask what else a score could mean: does the class follow the layout of the plates.

A classifier that is right may have learned the edge of the plate, a batch, or a staining day. Where
the class fills whole rows, columns, plates or batches, no analysis can tell the two apart, and the
reader must be told before seeing any score.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hcs.domain import columns as col
from hcs.domain.evaluation import AssociationFacts
from hcs.domain.wells import Well
from hcs.errors import UnknownNameError
from hcs.learn.counters import permutation
from hcs.ops.chance import compare_with_null

IntArray = NDArray[np.int_]
FloatArray = NDArray[np.float64]

SIGNIFICANT = 0.001
"""p below which the class follows a variable; low, since several variables are tried per study."""

_STRONG_V = 0.9
_PERMUTED_WELLS_AT_ONCE = 4_000_000  # 32 MB: permutations are drawn in blocks of this size


def plate_position_association(
    wells: pd.DataFrame,
    label: str,
    *,
    group_by: str | None = None,
    n_permutations: int = 2000,
    seed: int = 0,
) -> tuple[AssociationFacts, ...]:
    """Find out how far the class follows row, column, plate and batch.

    Cramér's V (Cramér 1946), with Pearson's chi-square under random reassignment of the classes.
    Where wells of one group (clone) share their class, classes are reassigned between groups.

    Parameters
    ----------
    wells
        One row a well (or image) with the well column, the label column, and where known plate,
        batch and group. Rows without label take no part.
    label
        Column of the class.
    group_by
        Column of what carries the class; None when every well was assigned by itself.
    n_permutations
        Reassignments for the p-value.
    seed
        Study seed.

    Returns
    -------
    tuple of AssociationFacts
        For row, column, plate and batch as far as the table has them.

    Raises
    ------
    UnknownNameError
        When the label or the well column is missing.
    """
    for column in (label, col.WELL):
        if column not in wells:
            raise UnknownNameError("column", column, "the table of wells", list(wells.columns))
    known = _one_row_a_well(wells[wells[label].notna()], label, group_by)
    positions = [Well.parse(str(name)) for name in known[col.WELL]]
    variables = {
        "row": np.array([well.row for well in positions], dtype=int),
        "column": np.array([well.column for well in positions], dtype=int),
    }
    for column in (col.PLATE, col.BATCH):
        if column in known and known[column].notna().all():
            variables[column] = pd.factorize(known[column])[0].astype(int)
    classes, names = pd.factorize(known[label])
    by_chance: dict[str, list[FloatArray]] = {variable: [] for variable in variables}
    group = _groups(known, group_by)
    for shuffled in _reassign(classes.astype(int), group, n_permutations, seed):
        for variable, level in variables.items():
            table = _cross_table(level, shuffled, len(names))
            by_chance[variable].append(_chi_square(table))
    return tuple(
        _associate(
            variable,
            _cross_table(level, classes[None], len(names))[0],
            np.concatenate(by_chance[variable]),
        )
        for variable, level in variables.items()
    )


def _one_row_a_well(wells: pd.DataFrame, label: str, group_by: str | None) -> pd.DataFrame:
    """Drop the further images of a well; a well of two classes stands for both."""
    keys = [col.WELL, label]
    keys += [c for c in (col.PLATE, col.BATCH, group_by) if c is not None and c in wells]
    return wells.drop_duplicates(keys).reset_index(drop=True)


def _groups(known: pd.DataFrame, group_by: str | None) -> IntArray:
    """Code of what is reassigned as a whole: the well, or the group where one is named."""
    alone = np.arange(len(known))
    if group_by is None or group_by not in known:
        return alone
    codes = pd.factorize(known[group_by])[0].astype(int)
    return np.where(codes < 0, codes.max(initial=-1) + 1 + alone, codes)


def _reassign(
    classes: IntArray, group: IntArray, n_permutations: int, seed: int
) -> Iterator[IntArray]:
    """Permute the groups' classes: blocks of ``(permutations, wells)``."""
    _, first, member = np.unique(group, return_index=True, return_inverse=True)
    of_group = classes[first]
    step = max(1, _PERMUTED_WELLS_AT_ONCE // max(1, len(classes)))
    for start in range(0, n_permutations, step):
        numbers = range(start, min(start + step, n_permutations))
        orders = [permutation(len(first), "position", seed, number) for number in numbers]
        yield of_group[np.stack(orders)][:, member]


def _associate(variable: str, table: IntArray, by_chance: FloatArray) -> AssociationFacts:
    """Judge one variable by its ``(levels, classes)`` table and chi-squares under permutation."""
    table = table[table.sum(axis=1) > 0]
    n_wells = int(table.sum())
    if min(table.shape) < 2:
        return _untestable(variable, n_wells, len(table))
    observed = float(_chi_square(table[None])[0])
    p_value = compare_with_null(observed, by_chance, tolerance=1e-9 * observed)
    cramers_v = min(1.0, float(np.sqrt(observed / n_wells / (min(table.shape) - 1))))
    several = table[table.sum(axis=1) >= 2]
    pure = int(((several > 0).sum(axis=1) == 1).sum())
    all_pure = pure == len(several) >= 2 and 2 * several.sum() > n_wells
    verdict: Literal["confounded", "associated", "unrelated"] = "unrelated"
    if all_pure or (cramers_v >= _STRONG_V and p_value <= SIGNIFICANT):
        verdict = "confounded"
    elif p_value <= SIGNIFICANT:
        verdict = "associated"
    return AssociationFacts(
        variable=variable,
        n_wells=n_wells,
        n_levels=len(several),
        n_pure_levels=pure,
        cramers_v=cramers_v,
        p_value=p_value,
        verdict=verdict,
    )


def _untestable(variable: str, n_wells: int, n_levels: int) -> AssociationFacts:
    return AssociationFacts(
        variable=variable,
        n_wells=n_wells,
        n_levels=n_levels,
        n_pure_levels=0,
        cramers_v=None,
        p_value=None,
        verdict="untestable",
    )


def _cross_table(level: IntArray, classes: IntArray, n_classes: int) -> IntArray:
    """Wells by level and class for every row of ``classes``: ``(rows, levels, classes)``."""
    n_rows, n_levels = len(classes), int(level.max(initial=-1)) + 1
    n_cells = n_levels * n_classes
    cell = level * n_classes + classes + n_cells * np.arange(n_rows)[:, None]
    counts = np.bincount(cell.ravel().astype(int), minlength=n_rows * n_cells)
    return counts.reshape(n_rows, n_levels, n_classes)


def _chi_square(table: IntArray) -> FloatArray:
    """Pearson's chi-square of each ``(levels, classes)`` table; empty levels count nothing."""
    total = np.maximum(table.sum(axis=(1, 2), keepdims=True), 1)
    expected = table.sum(axis=2, keepdims=True) * table.sum(axis=1, keepdims=True) / total
    difference = np.where(expected > 0, table - expected, 0.0)
    terms = difference**2 / np.where(expected > 0, expected, 1.0)
    return np.asarray(terms.sum(axis=(1, 2)))
