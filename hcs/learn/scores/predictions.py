"""The long table of predictions: one row an image, split and model, with the image's role."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hcs.domain import columns as col
from hcs.domain.columns import Role
from hcs.domain.splits import Splits
from hcs.learn.scores.scored import class_score_column


def roles_of(images: pd.DataFrame, splits: Splits, split_index: int) -> NDArray[np.str_]:
    """Role of every image for one split.

    Parameters
    ----------
    images
        One row an image; the columns of group and donor may be absent or null (compound wells).
    splits
        The study's splits.
    split_index
        Which split.

    Returns
    -------
    ndarray
        ``(N,)`` of :class:`~hcs.domain.columns.Role` values; ``new`` where neither the group nor
        its donor takes part in the study. Another clone of a donor has the donor's role: a head
        that trained on the donor has seen it.
    """
    if splits.group_by not in images or images.empty:
        return np.full(len(images), Role.NEW.value)
    roles: Mapping[str, Role] = splits.role_of(split_index)
    of_donor = _role_of_donors(splits, roles)
    groups = images[splits.group_by].astype(str)
    donors = images[col.DONOR] if col.DONOR in images else pd.Series(None, images.index)
    # Images are many, pairs of group and donor few: 190,000 rows a plate and study took 0.3 s.
    named = pd.MultiIndex.from_arrays([groups, donors.astype(str)])
    codes, pairs = named.factorize()
    names = [roles.get(group, of_donor.get(donor, Role.NEW)).value for group, donor in pairs]
    found: NDArray[np.str_] = np.array(names, dtype=np.str_)[np.asarray(codes, dtype=np.intp)]
    return found


_MOST_SEEN_FIRST: Final = (Role.TRAIN, Role.VALIDATION, Role.TEST, Role.UNUSED)


def _role_of_donors(splits: Splits, roles: Mapping[str, Role]) -> dict[str, Role]:
    """Role of every donor of the study; of several, the one in which most was seen of it."""
    found: dict[str, Role] = {}
    for group in splits.groups:
        if group.donor is not None:
            role = roles[group.name]
            before = found.get(group.donor, role)
            found[group.donor] = min(role, before, key=_MOST_SEEN_FIRST.index)
    return found


def prediction_rows(
    images: pd.DataFrame,
    probabilities: NDArray[np.float32],
    splits: Splits,
    split_index: int,
    model: str,
) -> pd.DataFrame:
    """Rows of one split.

    Parameters
    ----------
    images
        ``Metadata_`` columns, one row an image.
    probabilities
        ``(N, classes)``, classes in the order of ``splits.classes``.
    splits, split_index
        Which split the model was trained on.
    model
        ``cnn`` or ``forest``.

    Returns
    -------
    DataFrame
        ``model``, ``split``, ``role``, the metadata, ``score`` of the positive class, and
        ``score_<class>`` where there are more than two classes.
    """
    named = [name for name in images.columns if name.startswith("Metadata_")]
    rows = images[named].reset_index(drop=True)
    rows.insert(0, col.ROLE, roles_of(images, splits, split_index))
    rows.insert(0, col.SPLIT, np.int32(split_index))
    rows.insert(0, col.MODEL, model)
    rows[col.SCORE] = probabilities[:, splits.classes.index(splits.positive)]
    if len(splits.classes) > 2:
        for position, name in enumerate(splits.classes):
            rows[class_score_column(name)] = probabilities[:, position]
    return rows


def rows_of_all_heads(
    images: pd.DataFrame, probabilities: NDArray[np.float32], splits: Splits, model: str
) -> pd.DataFrame:
    """Rows of all splits at once, split by split.

    Parameters
    ----------
    images
        ``Metadata_`` columns, one row an image.
    probabilities
        ``(heads, N, classes)``, heads in the order of ``splits.splits``.
    splits, model
        As of :func:`prediction_rows`.

    Returns
    -------
    DataFrame
        As of :func:`prediction_rows`, ``heads × N`` rows.
    """
    n_heads, n_images, n_classes = probabilities.shape
    named = [name for name in images.columns if name.startswith("Metadata_")]
    rows = images[named].iloc[np.tile(np.arange(n_images), n_heads)].reset_index(drop=True)
    numbers = [split.index for split in splits.splits]
    roles = [roles_of(images, splits, number) for number in numbers]
    rows.insert(0, col.ROLE, np.concatenate(roles) if roles else [])
    rows.insert(0, col.SPLIT, np.repeat(np.array(numbers, np.int32), n_images))
    rows.insert(0, col.MODEL, model)
    flat = probabilities.reshape(n_heads * n_images, n_classes)
    rows[col.SCORE] = flat[:, splits.classes.index(splits.positive)]
    if n_classes > 2:
        for position, name in enumerate(splits.classes):
            rows[class_score_column(name)] = flat[:, position]
    return rows
