"""How objects are measured: the assay, its channels, thresholds, sizes and set of features."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import Field, PositiveFloat, StringConstraints, model_validator

from hcs.domain.config.labels import GivenLabels
from hcs.domain.plate import Frozen
from hcs.domain.tuning.sets import Tuning
from hcs.errors import InputError

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

    A cell is positive when its mean, background subtracted, exceeds the threshold: ``otsu``
    between the cells of a plate, a ``fixed`` level in counts, or a multiple of the ``noise``, which
    here is the spread of the background. ``compartment`` is the part of the cell whose mean counts;
    left out, it is what the assay counts: the soma, the cell or the nucleus.
    """

    name: MarkerName
    channel: str
    threshold: Threshold = NoiseLevel()
    compartment: Literal["nucleus", "cell", "cytoplasm"] | None = None


class Neurons(Frozen):
    """Somas and the neurites that grow from them.

    ``contrast`` says how they stand out from their ground: ``bright``, ``dark``, or ``mixed`` as in
    phase contrast and holography.
    """

    kind: Literal["neurons"] = "neurons"
    feature_set: FeatureSet = "full"
    contrast: Literal["bright", "dark", "mixed"] = "bright"
    soma_threshold: SomaThreshold = NeuriteLevel()
    neurite_threshold: Threshold = NoiseLevel()
    min_neurite_length_um: Annotated[float, Field(ge=0)] = 10.0
    min_neurite_length_px: Annotated[float, Field(ge=0)] = 15.0


class Cells(Frozen):
    """Cell bodies without neurites: outlined in a stain of the cytoplasm, seeded by nuclei.

    Without such a stain a ring around each nucleus stands for its cell; ``ring_um`` or
    ``ring_px`` set its width, by default three tenths of the nucleus' diameter.
    """

    kind: Literal["cells"] = "cells"
    feature_set: FeatureSet = "full"
    ring_um: PositiveFloat | None = None
    ring_px: PositiveFloat | None = None

    @model_validator(mode="after")
    def _a_ring_has_one_unit(self) -> Self:
        if self.ring_um is not None and self.ring_px is not None:
            msg = "give the width of the ring in µm or in px, not in both"
            raise ValueError(msg)
        return self

    def ring_width_px(self, pixel_size_um: float | None) -> float | None:
        """Return the width of the ring in pixels, None where it is not set.

        Raises
        ------
        InputError
            When it is set in µm and there is no pixel size.
        """
        if self.ring_um is None:
            return self.ring_px
        if pixel_size_um is None:
            msg = (
                f"a ring of {self.ring_um:g} µm cannot be drawn: the plate has no pixel size; give"
                " its width in pixels (--ring-px)"
            )
            raise InputError(msg)
        return self.ring_um / pixel_size_um


class Nuclei(Frozen):
    """Nuclei alone."""

    kind: Literal["nuclei"] = "nuclei"
    feature_set: FeatureSet = "full"


Assay = Annotated[Neurons | Cells | Nuclei, Field(discriminator="kind")]


class Sizes(Frozen):
    """Sizes of what is measured; those left out are estimated. A size has one unit.

    A size in µm needs a plate with a pixel size (:meth:`check_units`); one in px is taken as it is
    on any plate.
    """

    soma_diameter_um: PositiveFloat | None = None
    soma_diameter_px: PositiveFloat | None = None
    neurite_width_um: PositiveFloat | None = None
    neurite_width_px: PositiveFloat | None = None
    nucleus_diameter_um: PositiveFloat | None = None
    nucleus_diameter_px: PositiveFloat | None = None

    @model_validator(mode="after")
    def _a_size_has_one_unit(self) -> Self:
        if twice := [n for n in SIZE_NAMES if self.is_given(n, "um") and self.is_given(n, "px")]:
            msg = f"give a size in µm or in px, not in both: {', '.join(twice)}"
            raise ValueError(msg)
        return self

    def is_given(self, name: str, unit: str) -> bool:
        """Whether a size, such as ``soma_diameter``, is set in a unit (``um`` or ``px``)."""
        return getattr(self, f"{name}_{unit}") is not None

    def in_px(self, name: str, pixel_size_um: float | None) -> float | None:
        """Return a size in pixels, None where it is not set.

        Raises
        ------
        InputError
            When it is set in µm and there is no pixel size.
        """
        px: float | None = getattr(self, f"{name}_px")
        um: float | None = getattr(self, f"{name}_um")
        if um is None:
            return px
        self.check_units(pixel_size_um)
        return um / (pixel_size_um or 1.0)

    def check_units(self, pixel_size_um: float | None, plate: str | None = None) -> None:
        """Refuse sizes in µm where there is no pixel size to turn them into pixels.

        Raises
        ------
        InputError
            Names the sizes, the plate, and what to do.
        """
        given = [name for name in SIZE_NAMES if self.is_given(name, "um")]
        if pixel_size_um is None and given:
            name = given[0]
            value, flag = getattr(self, f"{name}_um"), name.split("_")[0]
            msg = (
                f"{', '.join(n.replace('_', ' ') for n in given)} in µm (--{flag}-um {value:g})"
                f" cannot be used: {plate or 'the image'} has no pixel size. Give the size in"
                f" pixels (--{flag}-px; {name}_px in a study), or ingest the plate again with"
                " --pixel-size-um"
            )
            raise InputError(msg)


SIZE_NAMES: Final = ("soma_diameter", "neurite_width", "nucleus_diameter")
"""Fields of :class:`Sizes` without their unit."""


class MorphologyConfig(Frozen):
    """What is measured, and on which scales.

    Attributes
    ----------
    assay
        What the objects are: neurons, cells or nuclei, with the settings of each.
    sizes
        Their sizes; what is left out is estimated from the plates and stored with the results.
    nuclei
        The nuclear channel, whose nuclei then seed the somas or cells.
    markers
        Channels of which cells are positive or negative.
    measured
        Channels of which brightness and texture are measured on every compartment, or ``all``.
    illumination
        ``auto`` divides by the plate's own uneven illumination where that is found to help,
        ``none`` never does.
    tuning
        Every constant of the kernels that was fitted or chosen (``docs/tuning.md``).
    labels
        Objects that others have segmented, to measure in place of those that hcs would.
    """

    assay: Assay = Neurons()
    sizes: Sizes = Sizes()
    nuclei: str | None = None
    markers: tuple[Marker, ...] = ()
    measured: tuple[str, ...] | Literal["all"] = ()
    illumination: Literal["auto", "none"] = "auto"
    tuning: Tuning = Tuning()
    labels: GivenLabels = GivenLabels()
