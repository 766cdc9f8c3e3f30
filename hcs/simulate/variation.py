"""How clones, batches, wells and images differ, and the one thing that disease changes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from hcs.simulate.draws import generator
from hcs.simulate.styles import NeuronStyle, OpticsStyle

# relative standard deviations (of the logarithm) between clones at variation 1
_CLONE: Final = {
    "density": 0.20,
    "soma_radius": 0.06,
    "neurites": 0.08,
    "length": 0.12,
    "width": 0.05,
    "neurite_light": 0.12,
    "soma_light": 0.15,
    "background": 0.10,
    "debris": 0.40,
    "bead_period": 0.08,
    "drift_period": 0.15,
    "depth": 0.08,
}
# … and between batches
_BATCH: Final = {
    "illumination": 0.12,
    "background": 0.08,
    "gain": 0.05,
    "blur": 0.10,
    "density": 0.10,
    "vignetting": 0.30,
}
_HEALTHY_SHARE: Final = (0.02, 0.12)  # beading of healthy clones: share of variance, from … to
_DISEASED_SHARE: Final = 0.88  # beading at full strength
_MAX_SHARE: Final = 0.98


@dataclass(frozen=True, slots=True)
class Condition:
    """What was done to a well.

    Attributes
    ----------
    disease
        Strength of the phenotype: 0 healthy, 1 the full phenotype.
    survival
        Share of the cells that live, 0..1.
    density
        Relative density of cells on this place of the plate.
    illumination
        Relative brightness of this place of the plate.
    """

    disease: float = 0.0
    survival: float = 1.0
    density: float = 1.0
    illumination: float = 1.0


@dataclass(frozen=True, slots=True)
class Setting:
    """Size of the variations of one simulation."""

    seed: int
    clone_variation: float
    batch_variation: float
    neurons_per_mm2: float


def _factors(rng: np.random.Generator, spreads: dict[str, float], scale: float) -> dict[str, float]:
    """Log-normal factor of median 1 for every name; beyond 2.5 standard deviations is cut."""
    draws = np.clip(rng.standard_normal(len(spreads)), -2.5, 2.5)
    return {
        name: float(np.exp(scale * spread * draw))
        for (name, spread), draw in zip(spreads.items(), draws, strict=True)
    }


def bead_share(healthy: float, disease: float) -> float:
    """Share of beading of a clone: its healthy share moved toward the diseased one.

    Parameters
    ----------
    healthy
        What this clone would have without disease.
    disease
        0 healthy, 1 full phenotype; above 1 the share goes on rising to 0.98 at most.
    """
    return float(np.clip(healthy + disease * (_DISEASED_SHARE - healthy), 0.0, _MAX_SHARE))


def styles_of(
    setting: Setting, clone: str, batch: str, condition: Condition
) -> tuple[NeuronStyle, OpticsStyle]:
    """How the wells of one clone in one batch look under one condition.

    Only ``condition.disease`` separates diseased from healthy clones; everything else is drawn
    from the names of clone and batch alone.

    Parameters
    ----------
    setting
        Seed and size of the variations.
    clone, batch
        Names; each name has its own fixed draws.
    condition
        Disease, survival and place on the plate.
    """
    of_clone = generator(setting.seed, "clone", clone)
    c = _factors(of_clone, _CLONE, setting.clone_variation)
    healthy = float(of_clone.uniform(*_HEALTHY_SHARE))
    of_batch = generator(setting.seed, "batch", batch)
    b = _factors(of_batch, _BATCH, setting.batch_variation)
    offset = 8.0 * setting.batch_variation * float(of_batch.standard_normal())
    plain, glass = NeuronStyle(), OpticsStyle()
    density = c["density"] * b["density"] * condition.density * condition.survival
    texture = replace(
        plain.texture,
        bead_period_um=plain.texture.bead_period_um * c["bead_period"],
        drift_period_um=plain.texture.drift_period_um * c["drift_period"],
        depth=plain.texture.depth * c["depth"],
        bead_share=bead_share(healthy, condition.disease),
    )
    neurons = replace(
        plain,
        neurons_per_mm2=setting.neurons_per_mm2 * density,
        soma_radius_um=plain.soma_radius_um * c["soma_radius"],
        neurites_per_soma=plain.neurites_per_soma * c["neurites"],
        neurite_length_um=plain.neurite_length_um * c["length"],
        neurite_width_um=plain.neurite_width_um * c["width"],
        neurite_electrons=plain.neurite_electrons * c["neurite_light"],
        soma_electrons=plain.soma_electrons * c["soma_light"],
        texture=texture,
    )
    optics = replace(
        glass,
        background_electrons=glass.background_electrons * c["background"] * b["background"],
        vignetting=glass.vignetting * b["vignetting"],
        illumination=b["illumination"] * condition.illumination,
        blur_px=glass.blur_px * b["blur"],
        debris_per_mm2=glass.debris_per_mm2 * c["debris"] * (2.0 - condition.survival),
        offset_counts=max(glass.offset_counts + offset, 20.0),
        gain_counts=glass.gain_counts * b["gain"],
    )
    return neurons, optics
