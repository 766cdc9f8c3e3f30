"""Lengths of a field in pixels: the settings' µm where there is a pixel size, else their px."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hcs.domain.config.stages import Assay, MorphologyConfig, Neurons
from hcs.domain.tuning.sets import DEFAULTS

USUAL_SOMA_UM: Final = 14.0
USUAL_NEURITE_UM: Final = 2.0
USUAL_SOMA_PX: Final = 22.0
USUAL_NEURITE_PX: Final = 3.0


@dataclass(frozen=True, slots=True)
class Scales:
    """Sizes that segmentation works with, in pixels of the full-resolution plane.

    ``nucleus_diameter_px`` is None where each image is to estimate it.
    """

    soma_diameter_px: float
    neurite_width_px: float
    min_neurite_length_px: float
    nucleus_diameter_px: float | None = None
    ridge_sigma_widths: float = DEFAULTS.neurites.ridges.sigma_widths

    @property
    def ridge_sigma_px(self) -> float:
        """Standard deviation of the blur under which neurites are ridges, in pixels."""
        return self.ridge_sigma_widths * self.neurite_width_px

    @classmethod
    def of(cls, settings: MorphologyConfig, pixel_size_um: float | None) -> Scales:
        """Take the sizes of the settings, in pixels.

        Sizes that the settings leave out are the usual ones of a neuron; see
        :mod:`hcs.ops.sizes`.

        Raises
        ------
        InputError
            When a size is given in µm and there is no pixel size.
        """
        size = 1.0 if pixel_size_um is None else pixel_size_um
        usual_soma, usual_neurite = usual_sizes(pixel_size_um)
        sizes = settings.sizes
        return cls(
            soma_diameter_px=sizes.in_px("soma_diameter", pixel_size_um) or usual_soma / size,
            neurite_width_px=sizes.in_px("neurite_width", pixel_size_um) or usual_neurite / size,
            min_neurite_length_px=_min_neurite_length_px(settings.assay, pixel_size_um),
            nucleus_diameter_px=sizes.in_px("nucleus_diameter", pixel_size_um),
            ridge_sigma_widths=settings.tuning.neurites.ridges.sigma_widths,
        )


def usual_sizes(pixel_size_um: float | None) -> tuple[float, float]:
    """Return usual sizes of a neuron's soma and neurites, in µm or, without a pixel size, in px."""
    if pixel_size_um is None:
        return USUAL_SOMA_PX, USUAL_NEURITE_PX
    return USUAL_SOMA_UM, USUAL_NEURITE_UM


def _min_neurite_length_px(assay: Assay, pixel_size_um: float | None) -> float:
    if not isinstance(assay, Neurons):
        return 0.0
    if pixel_size_um is None:
        return assay.min_neurite_length_px
    return assay.min_neurite_length_um / pixel_size_um
