"""Lengths of a field in pixels: the settings' µm where there is a pixel size, else their px."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from numpy.typing import NDArray

from hcs.domain.config.stages import Assay, MorphologyConfig, Neurons
from hcs.domain.tuning.sets import DEFAULTS
from hcs.ops.estimate import estimate_neurite_width, estimate_soma_diameter

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
        :func:`with_estimates`.

        Raises
        ------
        InputError
            When a size is given in µm and there is no pixel size.
        """
        size = 1.0 if pixel_size_um is None else pixel_size_um
        usual_soma, usual_neurite = _usual(pixel_size_um)
        sizes = settings.sizes
        return cls(
            soma_diameter_px=sizes.in_px("soma_diameter", pixel_size_um) or usual_soma / size,
            neurite_width_px=sizes.in_px("neurite_width", pixel_size_um) or usual_neurite / size,
            min_neurite_length_px=_min_neurite_length_px(settings.assay, pixel_size_um),
            nucleus_diameter_px=sizes.in_px("nucleus_diameter", pixel_size_um),
            ridge_sigma_widths=settings.tuning.neurites.ridges.sigma_widths,
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
    width = settings.sizes.in_px("neurite_width", pixel_size_um)
    diameter = settings.sizes.in_px("soma_diameter", pixel_size_um)
    if width is not None and diameter is not None:
        return settings
    usual_soma, usual_neurite = _usual(pixel_size_um)
    planes = list(images)
    found: dict[str, float] = {}
    if width is None:
        estimated = _middle([estimate_neurite_width(p) for p in planes], size, usual_neurite)
        found[f"neurite_width_{unit}"] = estimated
        width = estimated / size
    if diameter is None:
        diameters = [estimate_soma_diameter(plane, width) for plane in planes]
        found[f"soma_diameter_{unit}"] = _middle(diameters, size, usual_soma)
    return settings.model_copy(update={"sizes": settings.sizes.model_copy(update=found)})


def _usual(pixel_size_um: float | None) -> tuple[float, float]:
    """Usual sizes of a neuron's soma and neurites, in µm or, without a pixel size, in px."""
    if pixel_size_um is None:
        return USUAL_SOMA_PX, USUAL_NEURITE_PX
    return USUAL_SOMA_UM, USUAL_NEURITE_UM


def _min_neurite_length_px(assay: Assay, pixel_size_um: float | None) -> float:
    if not isinstance(assay, Neurons):
        return 0.0
    if pixel_size_um is None:
        return assay.min_neurite_length_px
    return assay.min_neurite_length_um / pixel_size_um


def _middle(found: list[float | None], size: float, usual: float) -> float:
    known = [value * size for value in found if value is not None]
    return float(f"{median(known):.3g}") if known else usual
