"""Plan of a drug screen with a planted answer: controls, compounds in several doses, gradients."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from scipy import special

from hcs.domain.config.stages import SimulateConfig
from hcs.domain.plate import PertType
from hcs.domain.wells import PlateFormat, Well
from hcs.simulate.draws import generator
from hcs.simulate.plans import (
    ALS,
    CONTROL,
    DMSO,
    PlatePlan,
    SimulatedClone,
    WellPlan,
    draw_clone,
    place_fairly,
    seeding,
)
from hcs.simulate.variation import Condition

HIT_RESCUE: Final = 0.5
"""A well is a hit when at least this share of the phenotype is gone and as many cells live."""

_TOP_UM: Final = 10.0
_FIRST_CLONE: Final = 901  # numbers of the two clones of a screen, apart from any cohort's


@dataclass(frozen=True, slots=True)
class ScreenLayout:
    """Numbers of wells of each kind; they add up to the plate."""

    n_controls: int  # of each kind
    n_empty: int
    n_compounds: int
    n_doses: int
    dose_step: float

    @property
    def doses_um(self) -> tuple[float, ...]:
        """Concentrations, lowest first."""
        exponents = range(self.n_doses - 1, -1, -1)
        return tuple(float(f"{_TOP_UM / self.dose_step**k:.3g}") for k in exponents)


LAYOUTS: Final = {
    24: ScreenLayout(n_controls=4, n_empty=1, n_compounds=5, n_doses=3, dose_step=10.0),
    96: ScreenLayout(n_controls=12, n_empty=2, n_compounds=10, n_doses=7, dose_step=10**0.5),
    384: ScreenLayout(n_controls=28, n_empty=8, n_compounds=40, n_doses=8, dose_step=10**0.5),
}
"""Layout by number of wells."""

Kind = Literal["rescuing", "partial", "toxic", "inactive"]


@dataclass(frozen=True, slots=True)
class Compound:
    """What a compound does, as a four-parameter log-logistic in concentration.

    Attributes
    ----------
    name, kind
        Which compound, and of what sort.
    max_rescue
        Share of the phenotype that a saturating dose takes away, 0..1.
    ec50_um, hill
        Concentration of half the effect, and slope.
    max_kill
        Share of the cells that a saturating dose kills, 0..1, with the same EC50 and slope.
    """

    name: str
    kind: Kind
    max_rescue: float
    ec50_um: float
    hill: float
    max_kill: float

    def occupancy(self, concentration_um: float) -> float:
        """Share of the largest effect at a concentration, 0..1; 0 without compound."""
        if concentration_um <= 0:
            return 0.0
        return float(special.expit(self.hill * (np.log(concentration_um) - np.log(self.ec50_um))))

    def rescue(self, concentration_um: float) -> float:
        """Share of the phenotype that is gone, 0..1."""
        return self.max_rescue * self.occupancy(concentration_um)

    def survival(self, concentration_um: float) -> float:
        """Share of the cells that live, 0..1."""
        return 1 - self.max_kill * self.occupancy(concentration_um)

    def is_hit_at(self, concentration_um: float) -> bool:
        """Whether this dose rescues at least half and leaves at least half of the cells."""
        return (
            self.rescue(concentration_um) >= HIT_RESCUE
            and self.survival(concentration_um) >= HIT_RESCUE
        )


def draw_compounds(config: SimulateConfig, group: int) -> tuple[Compound, ...]:
    """Draw the compounds of one group of replicate plates.

    Three in ten rescue, one in ten rescues in part, one in ten is toxic (at least one of each),
    the others do nothing.

    Parameters
    ----------
    config
        Seed and size of the plate.
    group
        0-based number of the group of plates that carry the same compounds.

    Returns
    -------
    tuple of Compound
        By name, ``K0001``, ``K0002``, …; numbers go on from group to group.
    """
    n = LAYOUTS[config.screen_wells].n_compounds
    n_rescuing, n_few = max(round(0.3 * n), 1), max(round(0.1 * n), 1)
    numbers: dict[Kind, int] = {"rescuing": n_rescuing, "partial": n_few, "toxic": n_few}
    kinds: list[Kind] = [kind for kind, number in numbers.items() for _ in range(number)]
    kinds.extend(["inactive"] * (n - len(kinds)))
    order = generator(config.seed, "compound kinds", group).permutation(n)
    return tuple(
        _draw_compound(config.seed, f"K{group * n + index + 1:04d}", kinds[kind])
        for index, kind in enumerate(order)
    )


def _draw_compound(seed: int, name: str, kind: Kind) -> Compound:
    rng = generator(seed, "compound", name)
    strong, partial = float(rng.uniform(0.85, 1.0)), float(rng.uniform(0.4, 0.65))
    return Compound(
        name=name,
        kind=kind,
        max_rescue={"rescuing": strong, "partial": partial}.get(kind, 0.0),
        ec50_um=float(np.exp(rng.uniform(np.log(0.05), np.log(1.5)))),
        hill=float(rng.uniform(0.9, 2.0)),
        max_kill=float(rng.uniform(0.8, 0.95)) if kind == "toxic" else 0.0,
    )


def draw_screen_clones(config: SimulateConfig) -> tuple[SimulatedClone, SimulatedClone]:
    """Draw the diseased and the healthy clone of a screen; neither stands in a cohort.

    The diseased one has the full configured phenotype, whatever its duration of illness.
    """
    numbers = generator(config.seed, "screen clone numbers").permutation(2) + _FIRST_CLONE
    sick, healthy = (
        draw_clone(generator(config.seed, "donor", int(number)), int(number), diagnosis)
        for number, diagnosis in zip(numbers, (ALS, CONTROL), strict=True)
    )
    return replace(sick, disease=1.0), healthy


def plan_screen(config: SimulateConfig, first_batch: int) -> tuple[PlatePlan, ...]:
    """Plan all screen plates.

    Wells of every kind are placed at random. Illumination and density of cells change over rows
    and columns, in another direction on every plate. Empty wells are imaged too.

    Parameters
    ----------
    config
        Number of plates, wells and replicates.
    first_batch
        1-based number of the batch that the screen is; later than any of the cohort.

    Returns
    -------
    tuple of PlatePlan
        Named ``S01``, ``S02``, …
    """
    return tuple(
        _plan_plate(config, index, f"B{first_batch:02d}") for index in range(config.screen_plates)
    )


@dataclass(frozen=True, slots=True)
class _Content:
    """What goes into a well, before the well is chosen."""

    pert_type: PertType
    compound: Compound | None = None
    concentration_um: float | None = None


def _contents(config: SimulateConfig, group: int) -> list[_Content]:
    layout = LAYOUTS[config.screen_wells]
    kinds = (
        (PertType.NEGCON, layout.n_controls),
        (PertType.POSCON, layout.n_controls),
        (PertType.EMPTY, layout.n_empty),
    )
    contents = [_Content(kind) for kind, n in kinds for _ in range(n)]
    contents += [
        _Content(PertType.TREATMENT, compound, dose)
        for compound in draw_compounds(config, group)
        for dose in layout.doses_um
    ]
    return contents


def _plan_plate(config: SimulateConfig, index: int, batch: str) -> PlatePlan:
    name = f"S{index + 1:02d}"
    plate_format = PlateFormat.of_size(config.screen_wells)
    contents = _contents(config, index // config.screen_replicates)
    rng = generator(config.seed, "layout", name)
    order = list(PertType)
    places = place_fairly(rng, plate_format, [order.index(item.pert_type) for item in contents])
    clones = draw_screen_clones(config)
    gradients = draw_gradients(rng, plate_format, config.gradient_strength)
    plans = [
        _fill(config, content, well, clones, gradients[well])
        for content, well in zip(contents, places, strict=True)
    ]
    ordered = tuple(sorted(plans, key=lambda plan: plan.well))
    return PlatePlan(name, "screen", batch, plate_format, ordered)


def draw_gradients(
    rng: np.random.Generator, plate_format: PlateFormat, strength: float
) -> dict[Well, tuple[float, float]]:
    """Relative density of cells and relative illumination of every well of one plate.

    Both change smoothly over rows and columns; edge wells hold fewer cells.

    Parameters
    ----------
    rng
        Generator of this plate.
    plate_format
        Its wells.
    strength
        0 for none but the chance differences of seeding; 1 for about ± 20 % of density and
        ± 12 % of illumination from edge to edge.
    """
    slopes = rng.uniform(0.5, 1.0, (2, 2)) * rng.choice([-1.0, 1.0], (2, 2))
    last_row, last_column = plate_format.n_rows - 1, plate_format.n_columns - 1
    factors = {}
    for well in plate_format.wells():
        place = np.array([2 * well.row / last_row - 1, 2 * well.column / last_column - 1])
        on_edge = well.row in {0, last_row} or well.column in {0, last_column}
        density, light = slopes @ place
        density_factor = np.exp(strength * (0.10 * density - 0.08 * on_edge)) * seeding(rng)
        factors[well] = (float(density_factor), float(np.exp(strength * 0.06 * light)))
    return factors


def _fill(
    config: SimulateConfig,
    content: _Content,
    well: Well,
    clones: tuple[SimulatedClone, SimulatedClone],
    gradient: tuple[float, float],
) -> WellPlan:
    """Say what a well holds and what that does to its neurons."""
    sick, healthy = clones
    compound, dose = content.compound, content.concentration_um
    rescue, survival, is_hit = 0.0, 1.0, False
    if compound is not None and dose is not None:
        rescue, survival = compound.rescue(dose), compound.survival(dose)
        is_hit = compound.is_hit_at(dose)
    clone = {PertType.POSCON: healthy, PertType.EMPTY: None}.get(content.pert_type, sick)
    disease = 0.0 if clone is None else clone.disease * config.phenotype_strength * (1 - rescue)
    empty = clone is None
    density, illumination = gradient
    return WellPlan(
        well=well,
        clone=clone,
        n_sites=config.screen_fields_per_well,
        condition=Condition(
            disease=disease,
            survival=survival,
            density=0.0 if empty else density,
            illumination=illumination,
        ),
        pert_type=content.pert_type,
        compound=None if empty else (DMSO if compound is None else compound.name),
        concentration_um=dose,
        rescue=None if empty or clone is healthy else rescue,
        is_hit=None if content.pert_type is not PertType.TREATMENT else is_hit,
    )
