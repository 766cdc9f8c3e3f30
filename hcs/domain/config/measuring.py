"""How cells and neurites are measured: channels, thresholds, scales and the set of features."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, StringConstraints

from hcs.domain.plate import Frozen

FeatureSet = Literal["classic", "full"]
"""``classic``: the study's three features with what lies beside them; ``full``: all of the feature
catalogue (``docs/features.md``)."""

MarkerName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9]*$")]


class Otsu(Frozen):
    """Threshold between two classes of intensity (Otsu 1979, doi 10.1109/TSMC.1979.4310076)."""

    kind: Literal["otsu"] = "otsu"


class FixedLevel(Frozen):
    """A threshold in counts of the acquired image, background subtracted."""

    kind: Literal["fixed"] = "fixed"
    level_counts: PositiveFloat


class NoiseLevel(Frozen):
    """A threshold as a multiple of the image's own noise."""

    kind: Literal["noise"] = "noise"
    multiple: PositiveFloat = 5.0


class NeuriteLevel(Frozen):
    """Somas are not darker than the neurites of their image, nor than five times its noise."""

    kind: Literal["neurites"] = "neurites"


Threshold = Annotated[Otsu | FixedLevel | NoiseLevel, Field(discriminator="kind")]
SomaThreshold = Annotated[NeuriteLevel | FixedLevel | NoiseLevel, Field(discriminator="kind")]


class Marker(Frozen):
    """A further channel of which cells are positive or negative.

    A cell is positive when the mean of its soma, background subtracted, exceeds the threshold:
    ``otsu`` between the cells of an image, a ``fixed`` level in counts, or a multiple of the
    ``noise``, which here is the spread of the background.
    """

    name: MarkerName
    channel: str
    threshold: Threshold = NoiseLevel()


class MorphologyConfig(Frozen):
    """What is measured, and on which scales.

    Scales are in µm where the plate has a pixel size, else in pixels; those left out are estimated
    from images of the plate and stored with the results. ``nuclei`` names a nuclear channel, whose
    nuclei then seed the somas. ``illumination``: ``auto`` divides by the plate's own uneven
    illumination where that is found to help, ``none`` never does.
    """

    feature_set: FeatureSet = "full"
    nuclei: str | None = None
    markers: tuple[Marker, ...] = ()
    illumination: Literal["auto", "none"] = "auto"
    soma_diameter_um: PositiveFloat | None = None
    neurite_width_um: PositiveFloat | None = None
    soma_diameter_px: PositiveFloat | None = None
    neurite_width_px: PositiveFloat | None = None
    soma_threshold: SomaThreshold = NeuriteLevel()
    neurite_threshold: Threshold = NoiseLevel()
    min_neurite_length_um: Annotated[float, Field(ge=0)] = 10.0
    min_neurite_length_px: Annotated[float, Field(ge=0)] = 15.0
