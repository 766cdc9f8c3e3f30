"""The long table of predictions: one row an image, split and model, with the image's role."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hcs.domain import tables
from hcs.domain.splits import Splits
from hcs.domain.tables import Role
from hcs.learn.scored import class_score_column


def roles_of(images: pd.DataFrame, splits: Splits, split_index: int) -> NDArray[np.str_]:
    """Role of every image for one split.

    Parameters
    ----------
    images
        One row an image; the group's column may be absent or null (compound wells).
    splits
        The study's splits.
    split_index
        Which split.

    Returns
    -------
    ndarray
        ``(N,)`` of :class:`~hcs.domain.tables.Role` values; ``new`` where the group takes no part
        in the study.
    """
    if splits.group_by not in images:
        return np.full(len(images), Role.NEW.value)
    roles: Mapping[str, Role] = splits.role_of(split_index)
    groups = images[splits.group_by]
    return np.array([roles.get(str(name), Role.NEW).value for name in groups])


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
    rows.insert(0, tables.ROLE, roles_of(images, splits, split_index))
    rows.insert(0, tables.SPLIT, np.int32(split_index))
    rows.insert(0, tables.MODEL, model)
    rows[tables.SCORE] = probabilities[:, splits.classes.index(splits.positive)]
    if len(splits.classes) > 2:
        for position, name in enumerate(splits.classes):
            rows[class_score_column(name)] = probabilities[:, position]
    return rows
