"""Lengths of a field in pixels: the settings' µm where there is a pixel size, else their px."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hcs.domain.config import MorphologyConfig

_SIGMA_WIDTHS: Final = 0.5
"""Blur over width; less would follow noise, more would merge neighbors."""


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
        """Take the µm settings where a pixel size is known, else the px settings."""
        if pixel_size_um is None:
            return cls(
                soma_diameter_px=settings.soma_diameter_px,
                neurite_width_px=settings.neurite_width_px,
                min_neurite_length_px=settings.min_neurite_length_px,
            )
        return cls(
            soma_diameter_px=settings.soma_diameter_um / pixel_size_um,
            neurite_width_px=settings.neurite_width_um / pixel_size_um,
            min_neurite_length_px=settings.min_neurite_length_um / pixel_size_um,
        )
