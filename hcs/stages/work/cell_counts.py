"""Cell counts beside scores: joined image by image, and none is lost in silence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pandas as pd

from hcs.domain import columns as col
from hcs.domain.config.planes import OneTime
from hcs.domain.config.screening import Limit
from hcs.domain.config.stages import ScoresOfImages
from hcs.domain.results import Problem
from hcs.errors import InputError
from hcs.io.files import parquet
from hcs.planes.times import image_key, keep_time
from hcs.words.english import list_some

_FOUND: Final = "_found"
"""Column that says for a while whether the features have a scored image."""


def read_measurements(source: ScoresOfImages, limits: Mapping[str, Limit]) -> pd.DataFrame | None:
    """Read cell counts and what else has limits, of every image; None without features.

    Raises
    ------
    NotFoundError, InputError
        When the table is absent or lacks a column, or limits are stated without features.
    """
    if source.features is None:
        if limits:
            msg = f"limits on {list(limits)} need --features"
            raise InputError(msg)
        return None
    wanted = list(dict.fromkeys([*col.IMAGE_KEY, col.N_CELLS, *limits]))
    return parquet.read_table(
        source.features,
        columns=wanted,
        what="features",
        no_others=True,
        optional=(col.TIME, col.TIME_MIN),
    )


def join_measurements(
    images: pd.DataFrame, measured: pd.DataFrame, source: ScoresOfImages, time: OneTime | None
) -> tuple[pd.DataFrame, list[Problem]]:
    """Put what the features say beside the scores of images.

    Parameters
    ----------
    images, measured
        Scores, and the rows of :func:`read_measurements`.
    source
        Where both come from.
    time
        Time point that was chosen.

    Returns
    -------
    DataFrame
        The scores with the measurements.
    list of Problem
        One row a plate of which the features lack images.

    Raises
    ------
    InputError
        When the features have no image of a plate at the time point of its scores.
    """
    seen = measured  # at the time of each score; without one, at the chosen time
    if col.TIME not in images:
        seen = keep_time(measured, time, str(source.features))
    joined = images.merge(
        seen.drop(columns=[col.TIME_MIN], errors="ignore"),
        on=image_key(images, seen),
        how="left",
        validate="m:1",
        indicator=_FOUND,
    )
    return joined.drop(columns=_FOUND), _name_unmeasured(joined, source)


def _name_unmeasured(images: pd.DataFrame, source: ScoresOfImages) -> list[Problem]:
    """Name the plates some of whose scored images the features do not have.

    Raises
    ------
    InputError
        When they have none of a plate: they are of another plate, or of another time point.
    """
    rows = []
    for plate, scored in images.groupby(col.PLATE, sort=False):
        each = scored.drop_duplicates([name for name in col.IMAGE_KEY if name in scored])
        lost = each[each[_FOUND] == "left_only"]
        if lost.empty:
            continue
        at = f" at time point {scored[col.TIME].iloc[0]}" if col.TIME in scored else ""
        if len(lost) == len(each):
            msg = (
                f"{source.features} has no image of plate {plate}{at}, which {source.path} scores: "
                "cell counts would be unknown. Give the features of the same plates and time "
                "points, or leave --features out"
            )
            raise InputError(msg)
        wells = list_some(sorted(set(lost[col.WELL].astype(str))))
        message = (
            f"{len(lost)} of {len(each)} scored images{at} have no row in {source.features}: their "
            f"cells are not known, and wells are judged without them ({wells})"
        )
        rows.append(
            Problem(
                stage="hits",
                file=str(source.features),
                reason=col.Reason.NOT_FINITE,
                message=message,
                plate=str(plate),
                kept=True,
            )
        )
    return rows
