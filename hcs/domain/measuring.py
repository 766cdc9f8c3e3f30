"""How cells and neurites are measured: thresholds and scales."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat

from hcs.domain.plate import Frozen


class Otsu(Frozen):
    """Threshold between two classes of intensity (Otsu 1979, doi 10.1109/TSMC.1979.4310076)."""

    kind: Literal["otsu"] = "otsu"


class FixedLevel(Frozen):
    """A threshold in counts of the acquired image, background subtracted."""

    kind: Literal["fixed"] = "fixed"
    level_counts: PositiveFloat


class NoiseLevel(Frozen):
    """A threshold as a multiple of the image's own noise (1.4826 × MAD of the ridge response)."""

    kind: Literal["noise"] = "noise"
    multiple: PositiveFloat = 5.0


Threshold = Annotated[Otsu | FixedLevel | NoiseLevel, Field(discriminator="kind")]


class MorphologyConfig(Frozen):
    """Scales of segmentation, in µm where the plate has a pixel size, else in pixels.

    For somas, ``otsu`` does not mean Otsu's method, which split real somas: it means the larger of
    five times the noise and the brightness of the neurites. The name is to be changed.
    """

    soma_diameter_um: PositiveFloat = 14.0
    neurite_width_um: PositiveFloat = 2.0
    soma_diameter_px: PositiveFloat = 22.0
    neurite_width_px: PositiveFloat = 3.0
    soma_threshold: Threshold = Otsu()
    neurite_threshold: Threshold = NoiseLevel()
    min_neurite_length_um: Annotated[float, Field(ge=0)] = 10.0
    min_neurite_length_px: Annotated[float, Field(ge=0)] = 15.0
