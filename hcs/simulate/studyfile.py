"""The study file of a simulated cohort, sized to its clones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import yaml

from hcs.domain.config.options import EmbedOptions, SplitsOptions, StackOptions
from hcs.domain.config.stages import InCellLayout, SimulateConfig
from hcs.domain.config.studies import StudyConfig, StudyPlate
from hcs.simulate.plans import ALS, PlatePlan

_STUDY_CLONES: Final = 15
_ENOUGH_CLONES: Final = 5
_STUDY_VALIDATION: Final = 3
_STUDY_TEST: Final = 2
_STUDY_SPLITS: Final = 55
_SMALL_SPLITS: Final = 12
_HEADER: Final = "# Simulated by hcs: images, plate map and truth are drawn, not measured.\n"


def split_counts(clones_per_class: int) -> tuple[int, int, int] | None:
    """Clones per class for training, validation and test, near the 10 / 3 / 2 of the study.

    Returns
    -------
    tuple of int, or None
        None when there are fewer than three clones a class.
    """
    if clones_per_class < 3:
        return None
    validation = max(1, round(clones_per_class * _STUDY_VALIDATION / _STUDY_CLONES))
    # With one test clone a class the AUC by clone of a split could only be 0 or 1.
    least = 2 if clones_per_class >= _ENOUGH_CLONES else 1
    test = max(least, round(clones_per_class * _STUDY_TEST / _STUDY_CLONES))
    return clones_per_class - validation - test, validation, test


def study_yaml(config: SimulateConfig, plates: Sequence[PlatePlan]) -> bytes | None:
    """Write the study file as YAML; paths are relative to it.

    Returns
    -------
    bytes, or None
        None when there is no cohort, or too few clones for splits.
    """
    counts = split_counts(config.clones_per_class)
    if counts is None or not any(plate.role == "cohort" for plate in plates):
        return None
    study = build_study(config, plates, counts)
    content = study.model_dump(mode="json", exclude_unset=True)
    return (_HEADER + yaml.safe_dump(content, sort_keys=False)).encode()


def build_study(
    config: SimulateConfig, plates: Sequence[PlatePlan], counts: tuple[int, int, int]
) -> StudyConfig:
    """Build the study: every plate with its folder, splits by clone, sizes that fit the images."""
    train, validation, test = counts
    small = config.preset == "demo"
    return StudyConfig(
        name=f"simulated-{config.preset}",
        out="study",
        plates=tuple(
            StudyPlate(
                name=plate.name,
                source=plate.name,
                role=plate.role,
                layout=InCellLayout(kind="incell"),
                platemap="platemap.csv",
                plate_wells=plate.plate_format.n_wells,
                pixel_size_um=config.pixel_size_um,
            )
            for plate in plates
        ),
        seed=config.seed,
        splits=SplitsOptions(
            positive=ALS,
            n_splits=_SMALL_SPLITS if small else _STUDY_SPLITS,
            train=train,
            validation=validation,
            test=test,
        ),
        stack=StackOptions(image_px=min(256, max(32, config.image_px // 2))),
        embed=EmbedOptions(views=2 if small else 8),
        truth=".",
    )
