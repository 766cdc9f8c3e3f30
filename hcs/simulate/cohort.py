"""Plan of a cohort: clones of two diagnoses placed at random over the plates of every batch."""

from __future__ import annotations

import math
from typing import Final

from hcs.domain.config.stages import SimulateConfig
from hcs.domain.wells import PlateFormat
from hcs.simulate.draws import generator
from hcs.simulate.plans import (
    ALS,
    CONTROL,
    PlatePlan,
    SimulatedClone,
    WellPlan,
    draw_clone,
    place_fairly,
    seeding,
)
from hcs.simulate.variation import Condition

_LARGEST: Final = 96  # wells of the largest plate that a cohort is put on


def draw_clones(config: SimulateConfig) -> tuple[SimulatedClone, ...]:
    """Draw the clones of both diagnoses; their numbers are dealt at random and tell nothing.

    Returns
    -------
    tuple of SimulatedClone
        ``2 × clones_per_class``, by name.
    """
    n = 2 * config.clones_per_class
    numbers = generator(config.seed, "clone numbers").permutation(n) + 1
    clones = [
        draw_clone(
            generator(config.seed, "donor", int(number)),
            int(number),
            CONTROL if index < config.clones_per_class else ALS,
        )
        for index, number in enumerate(numbers)
    ]
    return tuple(sorted(clones, key=lambda clone: clone.name))


def plan_cohort(config: SimulateConfig) -> tuple[PlatePlan, ...]:
    """Place all clones of a cohort on plates.

    Every batch images every clone. Replicate wells are dealt to plates round by round, so every
    plate has all clones as long as they fit.

    Returns
    -------
    tuple of PlatePlan
        Named ``P01``, ``P02``, …; a batch has one plate, or more when one is too small.
    """
    clones = draw_clones(config)
    plates: list[PlatePlan] = []
    for batch in range(config.batches):
        images = _share(config.images_per_clone, config.batches, batch)
        rounds = _rounds(images, config.fields_per_well)
        dealt = [(clone, n_sites) for n_sites in rounds for clone in clones]
        per_plate = max(_LARGEST // len(clones), 1) * len(clones)
        per_plate = min(per_plate, _LARGEST)
        for start in range(0, len(dealt), per_plate):
            name = f"P{len(plates) + 1:02d}"
            plates.append(
                _plate(config, name, f"B{batch + 1:02d}", dealt[start : start + per_plate])
            )
    return tuple(plates)


def _share(total: int, parts: int, index: int) -> int:
    """Size of one of ``parts`` nearly equal parts of ``total``."""
    return total // parts + (1 if index < total % parts else 0)


def _rounds(images: int, fields_per_well: int) -> list[int]:
    """Fields in each replicate well of a clone, adding up to ``images``."""
    n_wells = math.ceil(images / fields_per_well)
    return [min(fields_per_well, images - fields_per_well * index) for index in range(n_wells)]


def _plate(
    config: SimulateConfig, name: str, batch: str, dealt: list[tuple[SimulatedClone, int]]
) -> PlatePlan:
    """Place wells on one plate, the smallest of 24 and 96 that holds them."""
    plate_format = PlateFormat.WELLS_24 if len(dealt) <= 24 else PlateFormat.WELLS_96
    rng = generator(config.seed, "layout", name)
    wells = place_fairly(rng, plate_format, [int(clone.diagnosis == ALS) for clone, _ in dealt])
    plans = [
        WellPlan(
            well=well,
            clone=clone,
            n_sites=n_sites,
            condition=Condition(
                disease=config.phenotype_strength * clone.disease, density=seeding(rng)
            ),
        )
        for (clone, n_sites), well in zip(dealt, wells, strict=True)
    ]
    return PlatePlan(
        name, "cohort", batch, plate_format, tuple(sorted(plans, key=lambda p: p.well))
    )
