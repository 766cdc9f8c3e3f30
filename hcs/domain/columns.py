"""Columns, units and types of every table that hcs writes, in one place.

Metadata and feature columns carry the names that pycytominer and CytoTable use, so their tools
read our parquet files as they stand.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

PLATE: Final = "Metadata_Plate"
WELL: Final = "Metadata_Well"
SITE: Final = "Metadata_Site"
CLONE: Final = "Metadata_Clone"
DONOR: Final = "Metadata_Donor"
DIAGNOSIS: Final = "Metadata_Diagnosis"
BATCH: Final = "Metadata_Batch"
PERT_TYPE: Final = "Metadata_pert_type"
COMPOUND: Final = "Metadata_Compound"
CONCENTRATION_UM: Final = "Metadata_concentration_um"

IMAGE_KEY: Final = (PLATE, WELL, SITE)
"""Columns that identify one image."""

TIME: Final = "Metadata_Time"
"""Time point, from 0; there where a plate has several, and then part of what identifies a row."""

TIME_MIN: Final = "Metadata_Time_min"
"""Minutes of the time point, where the plate states them."""

FOCUS_PLANE: Final = "Image_BestFocusPlane_"
"""With a channel's name: index of the z-plane in focus, where that was chosen."""

WELL_KEY: Final = (PLATE, WELL)
"""Columns that identify one well."""

WELL_METADATA: Final = (
    CLONE,
    DONOR,
    DIAGNOSIS,
    BATCH,
    PERT_TYPE,
    COMPOUND,
    CONCENTRATION_UM,
)
"""Plate-map columns that every table carries, null where the map says nothing."""

FIELD_PATH: Final = "field_path"
"""Path of the field inside the plate, ``A/1/0``."""

FINGERPRINT: Final = "fingerprint"
"""Fingerprint of the pixels' source, so that later stages know what is stale."""

SOURCES: Final = "sources"
"""Source files of a field, joined with ``|``."""

MODEL: Final = "model"
"""``cnn`` or ``forest``."""

SPLIT: Final = "split"
"""0-based number of the split."""

ROLE: Final = "role"
"""What the image's clone was for that split: see :class:`Role`."""

SCORE: Final = "score"
"""Probability of the positive (diseased) class, 0..1."""

N_CELLS: Final = "Image_Count_Cells"

CELLS_AT_ZERO: Final = "Metadata_cells_at_zero"
"""Cells an image when the compound was added, from the plate map: GR metrics need it."""

GR: Final = "gr"
"""Growth-rate inhibition of a well: 1 grows as the negative controls, 0 stands still, < 0 dies."""

N_NULL: Final = "n_null"
"""Negative controls that a well's empirical p rests on."""

# ── wells, hits and plate quality ───────────────────────────────────────────────────────────────

CLASSIFIERS: Final = ("cnn", "forest")
"""Models whose score is the probability of disease, so that less is better."""

LOG_ODDS: Final = "log_odds"
"""Mean log-odds of a well's images and splits, which statistics use in place of ``score``."""

SCORE_SPREAD: Final = "score_sd_splits"
"""Standard deviation of a well's score between splits; null with one split."""

N_IMAGES: Final = "n_images"
N_SPLITS_USED: Final = "n_splits_used"
N_SPLITS: Final = "n_splits"

OUT_OF_FOLD: Final = "out_of_fold"
"""Whether only heads that never trained or tuned on the well's clone were counted."""

USABLE: Final = "usable"
"""Whether the well may serve as control or hit; ``flags`` says why not."""

FLAGS: Final = "flags"
"""Reasons (see :class:`Reason`) joined with ``|``; empty when there are none."""

CORRECTED: Final = "corrected"
"""Score (or its log-odds, where there are any) after spatial correction, on its own scale."""

NORMALIZED: Final = "normalized"
"""Corrected score on the scale that the configuration chose."""

ROBUST_Z: Final = "robust_z"
SSMD: Final = "ssmd"
SSMD_CLASS: Final = "ssmd_class"

P_VALUE: Final = "p_value"
"""Student's t prediction test against the negative controls."""

Q_VALUE: Final = "q_value"
"""``p_value`` adjusted by Benjamini and Hochberg over the treated wells of a model."""

P_EMPIRICAL: Final = "p_empirical"
Q_EMPIRICAL: Final = "q_empirical"

RESCUE: Final = "rescue"
"""0 at the negative (diseased) control, 1 at the positive (healthy) control."""

RESCUE_LOW: Final = "rescue_low"
RESCUE_HIGH: Final = "rescue_high"

CELL_FRACTION: Final = "cell_fraction"
"""Cell count / median of the negative controls' counts."""

TOXIC: Final = "toxic"

DIRECTION: Final = "hit_direction"
"""Which way a hit lies: 1 up, -1 down, 0 either way."""

HIT: Final = "hit"

PLATE_PASSED: Final = "plate_passed"
"""Whether the well's plate keeps all stated quality limits."""

N_REPLICATES: Final = "n_replicates"

REASONS: Final = "reasons"
"""Why the well is a hit, or what kept it from being one, in words."""


class Role(StrEnum):
    """What a clone (and all of its images) is for one split."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"
    UNUSED = "unused"
    NEW = "new"


POSITION_X_UM: Final = "Image_Position_X_um"
POSITION_Y_UM: Final = "Image_Position_Y_um"
"""Stage position of a field, as the microscope states it: mostly from the center of its well."""


class Reason(StrEnum):
    """Why an image, well or row stands in ``problems.parquet``."""

    UNREADABLE = "unreadable"
    TRUNCATED = "truncated"
    WRONG_TYPE = "wrong-type"
    WRONG_SHAPE = "wrong-shape"
    DUPLICATE = "duplicate"
    MISSING_CHANNEL = "missing-channel"
    CONSTANT = "constant"
    ZERO_MEDIAN = "zero-median"
    NO_IMAGES = "no-images"
    NOT_IN_MAP = "not-in-map"
    UNMATCHED_FILE = "unmatched-file"
    OUTSIDE_SOURCE = "outside-source"
    MISSING_FILE = "missing-file"
    NOT_ACQUIRED = "not-acquired"
    UNREAD_PAGES = "unread-pages"
    WRONG_SCALE = "wrong-scale"
    CONTRADICTORY = "contradictory"
    NO_CONTROLS = "no-controls"
    NO_SPREAD = "no-spread"
    TOO_FEW_IMAGES = "too-few-images"
    TOO_FEW_CELLS = "too-few-cells"
    NOT_FINITE = "not-finite"
    FAILED_QUALITY = "failed-quality"
    CHECKSUM = "checksum"
    DOUBTFUL = "doubtful"


PROBLEM_COLUMNS: Final = ("stage", "file", PLATE, WELL, SITE, "reason", "message", "kept")
"""One row a fault. ``kept`` says whether the image still went on to the output."""


def with_unit(name: str, power: int, pixel_size_um: float | None) -> str:
    """Name of a length (power 1) or area (power 2) column with its unit at the end.

    Parameters
    ----------
    name
        Column name without unit, for example ``Image_Neurite_TotalLength``.
    power
        1 for a length, 2 for an area.
    pixel_size_um
        Pixel size in µm, or None when the source has none: the unit is then pixels.

    Returns
    -------
    str
        ``…_um``, ``…_um2``, ``…_px`` or ``…_px2``.
    """
    unit = "px" if pixel_size_um is None else "um"
    return f"{name}_{unit}{'' if power == 1 else power}"
