"""Which clones does a model get wrong: accuracy per clone against age, passage number and so on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Literal

import numpy as np
import pandas as pd
from scipy import stats

from hcs.domain import columns as col
from hcs.domain.columns import Role
from hcs.domain.probing import CovariateFacts
from hcs.domain.splits import Splits
from hcs.learn.probes.heads import FloatArray
from hcs.learn.scores.group_tests import holm
from hcs.learn.scores.scored import read_models

_NO_COVARIATE: Final = frozenset(
    {
        col.PLATE,
        col.WELL,
        col.SITE,
        col.PERT_TYPE,
        col.COMPOUND,
        col.CONCENTRATION_UM,
        col.DONOR,
    }
)
"""Columns that say where an image is or who it is, not what the clone is like."""

_FEWEST_NUMBERS: Final = 4
_FEWEST_A_LEVEL: Final = 2


def group_accuracies(predictions: pd.DataFrame, splits: Splits) -> dict[str, pd.Series]:
    """Share of each group's (clone's) test images called right, mean over the splits, by model."""
    positive = splits.classes.index(splits.positive)
    found = {}
    for scored in read_models(predictions, splits):
        test = scored.of_role(Role.TEST)
        table = pd.DataFrame(
            {
                "group": [splits.groups[number].name for number in test.group],
                "split": test.split,
                "right": test.calls(positive) == test.truth,
            }
        )
        of_split = table.groupby(["group", "split"])["right"].mean()
        found[scored.model] = of_split.groupby("group").mean()
    return found


def group_columns(images: pd.DataFrame, splits: Splits) -> pd.DataFrame:
    """Properties of the groups: ``Metadata_`` columns with one value a group, one row a group.

    Parameters
    ----------
    images
        One row an image. Columns that differ within a group, or that are the same for all, are
        left out, as are group, donor and label themselves.
    splits
        Which column names the group.
    """
    group = images[splits.group_by].astype(str)
    columns = {}
    for name in images.columns:
        if not str(name).startswith("Metadata_") or name in _NO_COVARIATE:
            continue
        if name in {splits.group_by, splits.label}:
            continue
        values = _as_numbers(images[name])
        by_group = values.groupby(group)
        if by_group.nunique(dropna=True).max() == 1 and values.nunique(dropna=True) > 1:
            columns[str(name)] = by_group.first()
    known = {entry.name for entry in splits.groups}
    frame = pd.DataFrame(columns)
    return frame[frame.index.isin(known)]


def _as_numbers(values: pd.Series) -> pd.Series:
    """Text that holds numbers throughout becomes numbers; an empty text is missing."""
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        return values.astype("float64")
    text = values.astype("object").where(values.notna(), None)
    text = text.map(lambda value: None if value is None or str(value) == "" else str(value))
    numbers = pd.to_numeric(text, errors="coerce")
    known = text.notna()
    return numbers if known.any() and numbers[known].notna().all() else text


def covariate_tests(model: str, accuracy: pd.Series, columns: pd.DataFrame) -> list[CovariateFacts]:
    """Test the accuracy per group against every column.

    Spearman 1904 (doi 10.2307/1412159) for numbers; Mann and Whitney 1947
    (doi 10.1214/aoms/1177730491) for two categories; Kruskal and Wallis 1952
    (doi 10.1080/01621459.1952.10483441) for more. A number with two values counts as a category.

    Parameters
    ----------
    model
        Name, for the answer.
    accuracy
        By group name.
    columns
        From :func:`group_columns`.

    Returns
    -------
    list of CovariateFacts
        Columns with fewer than 4 numbers, or without two categories of two groups each, are left
        out; p-values are null when all accuracies are equal.
    """
    rows = list(_raw_tests(accuracy, columns))
    adjusted = holm(np.array([np.nan if row[5] is None else row[5] for row in rows], dtype=float))
    return [
        _covariate(model, row, None if np.isnan(p_holm) else float(p_holm))
        for row, p_holm in zip(rows, adjusted, strict=True)
    ]


_Test = Literal["spearman", "mann_whitney", "kruskal_wallis"]
_Row = tuple[str, _Test, int, int | None, float | None, float | None]


def _raw_tests(accuracy: pd.Series, columns: pd.DataFrame) -> Iterator[_Row]:
    for name in columns.columns:
        both = pd.DataFrame({"accuracy": accuracy, "value": columns[name]}).dropna()
        right = both["accuracy"].to_numpy(dtype=float)
        varies = len(right) > 0 and float(np.ptp(right)) > 0
        numeric = pd.api.types.is_numeric_dtype(both["value"])
        if numeric and both["value"].nunique() > 2:
            if len(both) >= _FEWEST_NUMBERS:
                numbers = both["value"].to_numpy(dtype=float)
                yield _spearman(str(name), right, numbers, varies)
            continue
        samples = [part["accuracy"].to_numpy(float) for _, part in both.groupby("value")]
        samples = [sample for sample in samples if len(sample) >= _FEWEST_A_LEVEL]
        if len(samples) >= 2:
            yield _categories(str(name), samples, varies)


def _spearman(name: str, right: FloatArray, numbers: FloatArray, varies: bool) -> _Row:
    if not varies:
        return name, "spearman", len(right), None, None, None
    found = stats.spearmanr(numbers, right)
    return name, "spearman", len(right), None, float(found.statistic), float(found.pvalue)


def _categories(name: str, samples: Sequence[FloatArray], varies: bool) -> _Row:
    n, n_levels = sum(len(sample) for sample in samples), len(samples)
    test: _Test = "mann_whitney" if n_levels == 2 else "kruskal_wallis"
    together = np.concatenate(list(samples))
    if not varies or float(np.ptp(together)) == 0:
        return name, test, n, n_levels, None, None
    if n_levels == 2:
        pair = stats.mannwhitneyu(samples[0], samples[1])
        return name, test, n, n_levels, float(pair.statistic), float(pair.pvalue)
    found = stats.kruskal(*samples)
    return name, test, n, n_levels, float(found.statistic), float(found.pvalue)


def _covariate(model: str, row: _Row, p_holm: float | None) -> CovariateFacts:
    column, test, n, n_levels, statistic, p_value = row
    return CovariateFacts(
        model=model,
        column=column,
        test=test,
        n=n,
        n_levels=n_levels,
        statistic=statistic,
        p_value=p_value,
        p_holm=p_holm,
    )
