"""Lengths of a field in pixels: the settings' µm where there is a pixel size, else their px."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from numpy.typing import NDArray

from hcs.domain.config.stages import MorphologyConfig
from hcs.ops.estimate import estimate_neurite_width, estimate_soma_diameter

_SIGMA_WIDTHS: Final = 0.42
"""Blur over width, which is that of a Gaussian profile; less would follow noise, more would merge
neighbors."""

USUAL_SOMA_UM: Final = 14.0
USUAL_NEURITE_UM: Final = 2.0
USUAL_SOMA_PX: Final = 22.0
USUAL_NEURITE_PX: Final = 3.0


@dataclass(frozen=True, slots=True)
class Scales:
    """Sizes that segmentation works with, in pixels of the full-resolution plane."""

    soma_diameter_px: float
    neurite_width_px: float
    min_neurite_length_px: float

    @property
    def ridge_sigma_px(self) -> float:
        """Standard deviation of the blur under which neurites are ridges, in pixels."""
        return _SIGMA_WIDTHS * self.neurite_width_px

    @classmethod
    def of(cls, settings: MorphologyConfig, pixel_size_um: float | None) -> Scales:
        """Take the µm settings where a pixel size is known, else the px settings.

        Sizes that the settings leave out are the usual ones of a neuron; see
        :func:`with_estimates`.
        """
        if pixel_size_um is None:
            return cls(
                soma_diameter_px=settings.soma_diameter_px or USUAL_SOMA_PX,
                neurite_width_px=settings.neurite_width_px or USUAL_NEURITE_PX,
                min_neurite_length_px=settings.min_neurite_length_px,
            )
        return cls(
            soma_diameter_px=(settings.soma_diameter_um or USUAL_SOMA_UM) / pixel_size_um,
            neurite_width_px=(settings.neurite_width_um or USUAL_NEURITE_UM) / pixel_size_um,
            min_neurite_length_px=settings.min_neurite_length_um / pixel_size_um,
        )


def with_estimates(
    settings: MorphologyConfig, images: Iterable[NDArray[Any]], pixel_size_um: float | None
) -> MorphologyConfig:
    """Fill in the sizes that the settings leave out.

    Parameters
    ----------
    settings
        Sizes that are given stay as they are.
    images
        Planes (Y, X) of the plate; the median over them is taken.
    pixel_size_um
        Edge of a pixel, None where it is not known.

    Returns
    -------
    MorphologyConfig
        With both sizes set, to three digits; the usual sizes where the images show nothing.
    """
    unit, size = ("px", 1.0) if pixel_size_um is None else ("um", pixel_size_um)
    width_name, diameter_name = f"neurite_width_{unit}", f"soma_diameter_{unit}"
    width, diameter = getattr(settings, width_name), getattr(settings, diameter_name)
    if width is not None and diameter is not None:
        return settings
    planes = list(images)
    if width is None:
        usual = USUAL_NEURITE_PX if pixel_size_um is None else USUAL_NEURITE_UM
        width = _middle([estimate_neurite_width(plane) for plane in planes], size, usual)
    if diameter is None:
        usual = USUAL_SOMA_PX if pixel_size_um is None else USUAL_SOMA_UM
        found = [estimate_soma_diameter(plane, width / size) for plane in planes]
        diameter = _middle(found, size, usual)
    return settings.model_copy(update={width_name: width, diameter_name: diameter})


def _middle(found: list[float | None], size: float, usual: float) -> float:
    known = [value * size for value in found if value is not None]
    return float(f"{median(known):.3g}") if known else usual
