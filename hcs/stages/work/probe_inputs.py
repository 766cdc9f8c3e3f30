"""What the probes read: images of the study with their groups, wells and raw intensities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from hcs.domain import columns as col
from hcs.domain.columns import Role
from hcs.domain.config.stages import ProbeConfig
from hcs.domain.splits import Splits
from hcs.domain.wells import Well
from hcs.errors import InputError
from hcs.io import imageset
from hcs.io.files import parquet
from hcs.io.plates.reader import PlateReader
from hcs.io.runs import fingerprints
from hcs.learn.probes.heads import F32, Cohort, mean_or_none, score_images
from hcs.learn.probes.intensity_baseline import intensity_columns
from hcs.learn.probes.leaks import Layout
from hcs.learn.scores.metrics import owner
from hcs.learn.scores.scored import read_models
from hcs.planes.times import keep_time
from hcs.stages.work.plates import open_plates
from hcs.stages.work.study import find_study_images

VARIABLES: Final = ("row", "column", col.PLATE, col.BATCH)
"""What the features are asked to tell, beside the class."""


@dataclass(frozen=True)
class IntensityTable:
    """Raw intensities of the study's images.

    Attributes
    ----------
    images
        One row an image with all that the plates and the features say; empty when neither was
        given.
    columns
        Those on background and intensity.
    fingerprint
        Of these columns' values.
    """

    images: pd.DataFrame
    columns: tuple[str, ...]
    fingerprint: str


def study_frame(config: ProbeConfig, opened: imageset.ImageSet, splits: Splits) -> pd.DataFrame:
    """Images of the bank that take part in the study; the index is their row in the bank."""
    frame = opened.frame
    return frame.iloc[find_study_images(frame, splits, config.bank)]


def cohort_of(features: F32, frame: pd.DataFrame, splits: Splits) -> Cohort:
    """Put images, groups, classes and donors into arrays."""
    number_of = {group.name: number for number, group in enumerate(splits.groups)}
    owners = [owner(group) for group in splits.groups]
    return Cohort(
        features=features,
        group=np.array([number_of[str(name)] for name in frame[splits.group_by]], dtype=int),
        label=np.array([splits.classes.index(group.label) for group in splits.groups], dtype=int),
        owner=np.unique(owners, return_inverse=True)[1].astype(int),
        n_classes=len(splits.classes),
        positive=splits.classes.index(splits.positive),
    )


def layout_of(cohort: Cohort, frame: pd.DataFrame, splits: Splits, variable: str) -> Layout:
    """Well, donor and level of a variable for every image."""
    wells = frame.groupby(list(col.WELL_KEY), dropna=False, sort=False).ngroup()
    if variable == splits.label:
        level = cohort.image_labels
    elif variable in {"row", "column"}:
        places = [Well.parse(str(name)) for name in frame[col.WELL]]
        level = np.array([getattr(place, variable) for place in places], dtype=int)
    elif variable in frame:
        level = pd.factorize(frame[variable], sort=True)[0].astype(int)
    else:
        level = np.full(len(frame), -1)
    return Layout(np.asarray(wells, dtype=int), cohort.owner[cohort.group], level)


def intensity_table(config: ProbeConfig, splits: Splits, frame: pd.DataFrame) -> IntensityTable:
    """Join what the plates' image tables and the features say about raw intensity.

    What ingest measured of a plate with several planes or time points is of all of them, not of
    those that the network saw, and is left out; of the features, the network's time point counts.

    Parameters
    ----------
    config, splits
        Of the probe.
    frame
        Images that the network saw.

    Raises
    ------
    NotFoundError, InputError
        When a plate or the features cannot be read, or name no group of the study.
    """
    frames = []
    if config.plates:
        readers = open_plates(config.plates)
        frames.append(pd.concat([_say_of_images(reader) for reader in readers], ignore_index=True))
    if config.features is not None:
        found = parquet.read_table(config.features, columns=col.IMAGE_KEY, what="features")
        frames.append(_keep_seen(found, frame, config.features))
    if not frames:
        return IntensityTable(pd.DataFrame(), (), "")
    images = _join_tables(frames)
    chosen = find_study_images(images, splits, "the image tables")
    images = images.iloc[chosen].reset_index(drop=True)
    columns = intensity_columns(images)
    values = pd.util.hash_pandas_object(images[[*col.IMAGE_KEY, *columns]], index=False)
    return IntensityTable(images, columns, fingerprints.fingerprint(values.tolist()))


def _say_of_images(reader: PlateReader) -> pd.DataFrame:
    """Read a plate's table of images, less what is of several planes or time points at once."""
    images = reader.images
    if reader.n_z == reader.n_t == 1:
        return images
    mixed = [name for name in images if str(name).startswith("Image_Intensity_")]
    return images.drop(columns=mixed)


def _keep_seen(features: pd.DataFrame, frame: pd.DataFrame, where: str) -> pd.DataFrame:
    """Keep the rows of the time point that the network saw of each image."""
    if col.TIME not in features or col.TIME not in frame:
        return keep_time(features, None, where)
    kept = features.merge(frame[[*col.IMAGE_KEY, col.TIME]], on=[*col.IMAGE_KEY, col.TIME])
    if kept.empty and len(frame):
        # Joined all the same, unknown intensity would pass for one that tells nothing.
        times = ", ".join(str(time) for time in sorted(frame[col.TIME].unique()))
        msg = (
            f"{where} has none of the images that the network saw, at time point {times}: measure "
            "them with hcs features --time all"
        )
        raise InputError(msg)
    return kept


def _join_tables(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """One row an image of the first table, with the further columns of the others."""
    keys = list(col.IMAGE_KEY)
    joined = frames[0]
    for frame in frames[1:]:
        further = [name for name in frame.columns if name not in joined.columns]
        joined = joined.merge(frame[keys + further], on=keys, how="left", validate="one_to_one")
    return joined


def model_auc(predictions: pd.DataFrame | None, splits: Splits) -> tuple[str, float | None] | None:
    """Name of the first model and its mean test AUC by image; None without predictions."""
    if predictions is None:
        return None
    scored = read_models(predictions, splits)[0]
    positive = splits.classes.index(splits.positive)
    aucs = [
        score_images(part.truth, part.probability, positive).auc
        for role, _, part in scored.by_split()
        if role is Role.TEST
    ]
    return scored.model, mean_or_none(aucs)
