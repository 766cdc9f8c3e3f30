"""Check a table of predictions against its splits and turn it into arrays.

The roles that the table states must be those of the splits: a table that calls a training clone
"test" is refused, because every number computed from it would be too good.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hcs.domain import columns as col
from hcs.domain.columns import Role
from hcs.domain.splits import Splits
from hcs.errors import InputError, StaleError

IntArray = NDArray[np.int_]
FloatArray = NDArray[np.float64]

JUDGED: Final = (Role.VALIDATION, Role.TEST)
"""Roles that models are judged by; codes in :attr:`Scored.role` are positions in here."""

_SUM_TOLERANCE = 1e-3


def class_score_column(name: str) -> str:
    """Column with the probability of one class, for tables of more than two classes."""
    return f"{col.SCORE}_{name}"


@dataclass(frozen=True, slots=True)
class Scored:
    """Predictions of one model as arrays of equal length N (images, or groups).

    Attributes
    ----------
    split, role, group, well, image, truth
        ``(N,)`` codes: number of the split, position in :data:`JUDGED`, position in the splits'
        groups, number of the well, number of the image, position in the splits' classes.
    probability
        ``(N, classes)``, rows sum to 1.
    """

    model: str
    split: IntArray
    role: IntArray
    group: IntArray
    well: IntArray
    image: IntArray
    truth: IntArray
    probability: FloatArray

    def __len__(self) -> int:
        """Return the number of predictions."""
        return len(self.split)

    def rows(self, chosen: NDArray[np.bool_] | IntArray) -> Scored:
        """Keep some of the predictions."""
        arrays = ("split", "role", "group", "well", "image", "truth", "probability")
        return replace(self, **{name: getattr(self, name)[chosen] for name in arrays})

    def of_role(self, role: Role) -> Scored:
        """Keep the predictions of one role."""
        return self.rows(self.role == JUDGED.index(role))

    def calls(self, positive: int) -> IntArray:
        """Class that each prediction says, ``(N,)``.

        The most probable one; of two classes the positive one from one half upwards.
        """
        if self.probability.shape[1] == 2:
            return np.where(self.probability[:, positive] >= 0.5, positive, 1 - positive)
        return np.asarray(self.probability.argmax(axis=1))

    def by_split(self) -> Iterator[tuple[Role, int, Scored]]:
        """Iterate over the roles and splits that have predictions."""
        order = np.lexsort((self.split, self.role))
        keys = np.stack([self.role[order], self.split[order]], axis=1)
        starts = np.flatnonzero(np.any(np.diff(keys, axis=0, prepend=-1) != 0, axis=1))
        for part in np.split(order, starts[1:]) if len(order) else []:
            yield JUDGED[self.role[part[0]]], int(self.split[part[0]]), self.rows(part)

    def means_by_group(self) -> Scored:
        """Average the images of each group in each split: one row a role, split and group."""
        keys = np.stack([self.role, self.split, self.group], axis=1)
        _, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        flat = inverse.ravel()
        n_classes = self.probability.shape[1]
        sums = [np.bincount(flat, self.probability[:, k], len(first)) for k in range(n_classes)]
        means = np.stack(sums, axis=1) / np.bincount(flat, minlength=len(first))[:, None]
        return replace(self.rows(first), probability=means)


def read_models(predictions: pd.DataFrame, splits: Splits) -> list[Scored]:
    """Turn a table of predictions into arrays, one entry a model in order of appearance.

    Parameters
    ----------
    predictions
        One row an image, split and model, with the columns ``model``, ``split``, ``role``, plate,
        well, site, the group column and ``score`` (for more than two classes ``score_<class>``).
        Rows that are neither validation nor test are left out, and those of heads that diverged
        (:func:`find_diverged`).
    splits
        The splits that the models were trained on; classes are taken from here.

    Returns
    -------
    list of Scored
        Empty when no row is validation or test.

    Raises
    ------
    InputError
        When columns are missing, scores are missing or no probabilities, or an image stands twice.
    StaleError
        When groups or roles are not those of the splits.
    """
    needed = [col.MODEL, col.SPLIT, col.ROLE, *col.IMAGE_KEY, splits.group_by]
    needed += _score_columns(splits)
    if missing := [column for column in needed if column not in predictions]:
        msg = f"the predictions lack the columns {missing}; they have {list(predictions.columns)}"
        raise InputError(msg)
    lost = _is_diverged(predictions, splits)
    judged = predictions[predictions[col.ROLE].isin([role.value for role in JUDGED]) & ~lost]
    group, split, role = _check_roles(judged, splits)
    label_of = splits.label_of()
    class_of = [splits.classes.index(label_of[entry.name]) for entry in splits.groups]
    everything = Scored(
        model="",
        split=split,
        role=role,
        group=group,
        well=_codes(judged, col.WELL_KEY),
        image=_codes(judged, col.IMAGE_KEY),
        truth=np.asarray(class_of, dtype=int)[group],
        probability=_probabilities(judged, splits),
    )
    models, names = pd.factorize(judged[col.MODEL])
    parts = [
        replace(everything.rows(models == code), model=str(name)) for code, name in enumerate(names)
    ]
    for part in parts:
        _check_each_image_once(part)
    return parts


def find_diverged(predictions: pd.DataFrame, splits: Splits) -> dict[str, tuple[int, ...]]:
    """Find the splits whose head gave no number at all, by model.

    Parameters
    ----------
    predictions, splits
        As for :func:`read_models`.
    """
    lost = predictions[_is_diverged(predictions, splits)]
    return {
        str(model): tuple(sorted({int(number) for number in rows[col.SPLIT]}))
        for model, rows in lost.groupby(col.MODEL, sort=False)
    }


def _is_diverged(predictions: pd.DataFrame, splits: Splits) -> NDArray[np.bool_]:
    """Say of every row whether its head gave no number for any image, ``(N,)``."""
    known = predictions[_score_columns(splits)].notna().any(axis=1)
    heads = [predictions[col.MODEL], predictions[col.SPLIT]]
    return np.asarray(~known.groupby(heads, dropna=False).transform("any"), dtype=bool)


def _score_columns(splits: Splits) -> list[str]:
    if len(splits.classes) == 2:
        return [col.SCORE]
    return [class_score_column(name) for name in splits.classes]


def _codes(table: pd.DataFrame, columns: tuple[str, ...]) -> IntArray:
    groups = table.groupby(list(columns), dropna=False, observed=True, sort=False)
    return np.asarray(groups.ngroup(), dtype=int)


def _check_roles(judged: pd.DataFrame, splits: Splits) -> tuple[IntArray, IntArray, IntArray]:
    names = [entry.name for entry in splits.groups]
    group = pd.Index(names).get_indexer(pd.Index(judged[splits.group_by].astype(str)))
    if (group < 0).any():
        unknown = sorted(set(judged[splits.group_by].astype(str)[group < 0]))
        msg = f"the predictions have groups that the splits do not know: {unknown}"
        raise StaleError(msg)
    split = judged[col.SPLIT].to_numpy(dtype=int)
    if outside := sorted({int(n) for n in split if not 0 <= n < len(splits.splits)}):
        msg = f"the predictions have splits {outside}; the splits file has {len(splits.splits)}"
        raise StaleError(msg)
    stated = [role.value for role in JUDGED]
    role = pd.Index(stated).get_indexer(pd.Index(judged[col.ROLE].astype(str)))
    true = np.full((len(splits.splits), len(names)), -1)
    for number in range(len(splits.splits)):
        roles = splits.role_of(number)
        true[number] = [JUDGED.index(roles[n]) if roles[n] in JUDGED else -1 for n in names]
    if (wrong := true[split, group] != role).any():
        row = int(np.flatnonzero(wrong)[0])
        msg = (
            f"{int(wrong.sum())} predictions state a role that the splits do not give, for example "
            f"{names[group[row]]!r} in split {split[row]} as {stated[role[row]]!r}; "
            "predict again with these splits"
        )
        raise StaleError(msg)
    return np.asarray(group), split, np.asarray(role)


def _probabilities(judged: pd.DataFrame, splits: Splits) -> FloatArray:
    raw = judged[_score_columns(splits)].to_numpy(dtype=float)
    if bad := int((~((raw >= 0) & (raw <= 1))).any(axis=1).sum()):
        msg = f"{bad} of {len(raw)} predictions have no score between 0 and 1"
        raise InputError(msg)
    if len(splits.classes) == 2:
        both = [1 - raw[:, 0], raw[:, 0]]
        return np.stack(both if splits.positive == splits.classes[1] else both[::-1], axis=1)
    sums = raw.sum(axis=1)
    if bad := int((np.abs(sums - 1) > _SUM_TOLERANCE).sum()):
        msg = f"the class scores of {bad} predictions do not add up to 1"
        raise InputError(msg)
    return np.asarray(raw / sums[:, None])


def _check_each_image_once(part: Scored) -> None:
    keys = np.stack([part.split, part.image], axis=1)
    if twice := len(keys) - len(np.unique(keys, axis=0)):
        msg = f"model {part.model!r}: {twice} images stand more than once in one split"
        raise InputError(msg)
