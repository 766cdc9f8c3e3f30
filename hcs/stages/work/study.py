"""Images of a study: those whose group takes part in its splits, with class and role."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hcs.domain import columns as col
from hcs.domain.splits import Splits
from hcs.errors import InputError, NotFoundError, StaleError
from hcs.io.files.paths import AnyPath, as_path
from hcs.io.files.text import read_text
from hcs.io.imageset import VALID
from hcs.io.runs.fingerprints import fingerprint


def read_splits(path: AnyPath, expected: str | None = None) -> Splits:
    """Read ``splits.json``; a leak in it is an error.

    Parameters
    ----------
    path
        The file.
    expected
        Fingerprint that a worker's task was planned under.

    Raises
    ------
    NotFoundError
        When there is no such file.
    StaleError
        When it holds other splits than expected.
    """
    file = as_path(path)
    if not file.exists():
        msg = f"splits file {file} does not exist; make it with: hcs splits PLATE… --out {file}"
        raise NotFoundError(msg)
    found = Splits.read_json(read_text(file, "splits file"), where=str(file))
    if expected is not None and fingerprint_splits(found) != expected:
        msg = f"{file} was changed while work on it ran: run the same command again"
        raise StaleError(msg)
    return found


def fingerprint_splits(splits: Splits) -> str:
    """Fingerprint of the splits themselves, whenever they were drawn."""
    return fingerprint(splits.model_dump(mode="json", exclude={"provenance"}))


def find_study_images(images: pd.DataFrame, splits: Splits, where: str) -> NDArray[np.intp]:
    """Find the images that are usable and whose group takes part in the study.

    Parameters
    ----------
    images
        One row an image.
    splits
        Of the study.
    where
        Names the images in messages.

    Returns
    -------
    ndarray
        ``(N,)`` positions in ``images``, ascending.

    Raises
    ------
    InputError
        When the group column is missing, a group of the splits has no image, or the plate map says
        another class or donor of a group than the splits.
    """
    if splits.group_by not in images:
        msg = f"{where} lacks the column {splits.group_by!r} that the splits are made by"
        raise InputError(msg)
    known = {group.name for group in splits.groups}
    names = images[splits.group_by].astype(str)
    kept = names.isin(known)
    if VALID in images:
        kept &= images[VALID].astype(bool)
    if absent := sorted(known - set(names[kept])):
        msg = f"{where} has no usable image of the groups {absent} that the splits name"
        raise InputError(msg)
    _refuse_other_facts(images[kept], names[kept], splits, where)
    return np.flatnonzero(kept)


def _refuse_other_facts(
    images: pd.DataFrame, names: pd.Series[str], splits: Splits, where: str
) -> None:
    """Refuse a plate map that was changed after the splits were drawn from it."""
    faults = []
    for column, said in (
        (splits.label, splits.label_of()),
        (col.DONOR, {group.name: group.donor for group in splits.groups if group.donor}),
    ):
        if column not in images:
            continue
        for name, found in images[column].astype(str).groupby(names, sort=True):
            values = sorted(set(found))
            if str(name) in said and values != [said[str(name)]]:
                faults.append(
                    f"{name} is {said[str(name)]} in the splits and {', '.join(values)} here"
                )
    if faults:
        msg = (
            f"{where} and the splits do not say the same of {len(faults)} groups: "
            f"{'; '.join(faults[:5])}. Draw the splits again with hcs splits"
        )
        raise InputError(msg)
