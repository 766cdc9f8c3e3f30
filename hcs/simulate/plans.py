"""What a simulated plate holds before it is imaged: clones, wells and what was done to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from hcs.domain.plate import PertType
from hcs.domain.wells import PlateFormat, Well
from hcs.simulate.variation import Condition

CONTROL: Final = "control"
ALS: Final = "ALS"
DMSO: Final = "DMSO"

_DENSITY_BETWEEN_WELLS: Final = 0.08  # relative standard deviation of seeding


@dataclass(frozen=True, slots=True)
class SimulatedClone:
    """One iPSC clone with what is known of its donor.

    Attributes
    ----------
    name, donor
        Anonymous numbers that do not tell the diagnosis.
    diagnosis
        ``control`` or ``ALS``.
    sex, age_years, passage
        Of donor and clone; without influence on the images.
    duration_years
        Onset to sampling; None for controls. Longer illness comes with a stronger phenotype.
    onset
        ``bulbar`` or ``spinal``, None for controls; without influence on the images.
    disease
        Strength of the phenotype relative to the configured one; 0 for controls.
    """

    name: str
    donor: str
    diagnosis: str
    sex: str
    age_years: int
    passage: int
    duration_years: float | None = None
    onset: str | None = None
    disease: float = 0.0


@dataclass(frozen=True, slots=True)
class WellPlan:
    """What one well holds.

    Attributes
    ----------
    well
        Where it is.
    clone
        None in an empty well.
    n_sites
        Number of fields imaged.
    condition
        Disease, survival and place on the plate.
    pert_type, compound, concentration_um
        For screens; None on cohort plates.
    rescue
        Share of the phenotype that the compound takes away, 0..1; None where nothing was planted.
    is_hit
        Whether the compound at this concentration rescues at least half without killing half.
    """

    well: Well
    clone: SimulatedClone | None
    n_sites: int
    condition: Condition
    pert_type: PertType | None = None
    compound: str | None = None
    concentration_um: float | None = None
    rescue: float | None = None
    is_hit: bool | None = None


@dataclass(frozen=True, slots=True)
class PlatePlan:
    """One plate and all wells on it that are imaged, row by row."""

    name: str
    role: Literal["cohort", "screen"]
    batch: str
    plate_format: PlateFormat
    wells: tuple[WellPlan, ...]


def draw_clone(rng: np.random.Generator, number: int, diagnosis: str) -> SimulatedClone:
    """Draw the covariates of one clone.

    Ages, sexes and duration of illness follow the cohort of Imamura et al. 2021
    (doi 10.1002/ana.26047: 3.9 ± 4.2 years from onset to sampling).

    Parameters
    ----------
    rng
        Generator of this clone.
    number
        Its anonymous number.
    diagnosis
        ``control`` or ``ALS``.
    """
    sex = str(rng.choice(["female", "male"]))
    age = int(np.clip(np.rint(rng.normal(58, 11)), 25, 88))
    passage = int(rng.integers(6, 41))
    duration = float(np.round(np.clip(rng.gamma(0.9, 4.3), 0.3, 25), 1))
    onset = "bulbar" if rng.random() < 0.3 else "spinal"
    sick = diagnosis == ALS
    return SimulatedClone(
        name=f"C{number:03d}",
        donor=f"D{number:03d}",
        diagnosis=diagnosis,
        sex=sex,
        age_years=age,
        passage=passage,
        duration_years=duration if sick else None,
        onset=onset if sick else None,
        disease=severity(duration) if sick else 0.0,
    )


def severity(duration_years: float) -> float:
    """Strength of the phenotype after so many years of illness: 0.8 at onset, toward 1.1."""
    return 1.1 - 0.3 * float(np.exp(-duration_years / 4.0))


def seeding(rng: np.random.Generator) -> float:
    """Relative density of cells in one well, by chance alone."""
    return float(np.exp(_DENSITY_BETWEEN_WELLS * np.clip(rng.standard_normal(), -2.5, 2.5)))


def place_fairly(
    rng: np.random.Generator,
    plate_format: PlateFormat,
    groups: list[int],
    limit: float = 0.25,
    tries: int = 200,
) -> list[Well]:
    """Draw a random well for every item such that position does not tell the group.

    Placements whose row or column correlates with the group are drawn again (rerandomization,
    Morgan & Rubin 2012, doi 10.1214/12-AOS1008); when none passes, the best one is kept.

    Parameters
    ----------
    rng
        Generator of this plate.
    plate_format
        Wells to choose from; at least as many as items.
    groups
        Group number of every item.
    limit
        Largest correlation of any group's membership with row or column.
    tries
        How many placements are drawn at most.

    Returns
    -------
    list of Well
        One well an item, all different.
    """
    wells = plate_format.wells()
    positions = np.array([(well.row, well.column) for well in wells], dtype=float)
    labels = np.asarray(groups)
    best: tuple[float, list[int]] = (np.inf, [])
    for _ in range(tries):
        chosen = rng.permutation(len(wells))[: labels.size]
        worst = _correlation(positions[chosen], labels)
        if worst < best[0]:
            best = (worst, [int(index) for index in chosen])
        if worst <= limit:
            break
    return [wells[index] for index in best[1]]


def _correlation(positions: NDArray[np.float64], labels: NDArray[np.int_]) -> float:
    """Largest absolute correlation of a group's membership with row or column; 0 for one group."""
    centered = positions - positions.mean(axis=0)
    spread = np.sqrt((centered**2).sum(axis=0))
    worst = 0.0
    for group in np.unique(labels):
        member = (labels == group) - np.mean(labels == group)
        scale = spread * np.sqrt((member**2).sum())
        along = np.abs((member[:, None] * centered).sum(axis=0))
        worst = max(worst, float(np.max(np.divide(along, scale, where=scale > 0, out=0 * along))))
    return worst
