"""One field measured: cells, neurites, intensity and quality as features, rows and labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hcs.domain.columns import N_CELLS, with_unit
from hcs.domain.config.stages import Marker, MorphologyConfig, Neurons
from hcs.domain.tuning.planes import BlankTuning
from hcs.domain.tuning.sets import Tuning
from hcs.errors import InputError
from hcs.ops import quality
from hcs.ops.blank import fill_blank
from hcs.ops.filters import FloatPlane
from hcs.ops.given import NOTHING, Given
from hcs.ops.intensity import PlaneStatistics, plane_statistics
from hcs.ops.markers import marker_columns, marker_features
from hcs.ops.neurites.arbors import Along, arbor_columns
from hcs.ops.neurites.tracing import UNASSIGNED, Neurites, trace_neurites
from hcs.ops.saturated import find_saturated
from hcs.ops.scales import Scales
from hcs.ops.sight import Sight, look, show_objects
from hcs.ops.sizes.finding import with_estimates
from hcs.ops.somas.cells import CellColumns, soma_columns, take_somas
from hcs.ops.somas.nuclei import segment_nuclei
from hcs.ops.somas.seeding import seed_somas
from hcs.ops.somas.segment import LabelPlane, Somas, cut_somas, segment_somas
from hcs.ops.summaries import full_features, gray_features

MEAN_SOMA_AREA: Final = "Image_Soma_MeanArea"
TOTAL_LENGTH: Final = "Image_Neurite_TotalLength"
CORRECTED_LENGTH: Final = "Image_Neurite_HiddenCorrectedLength"
LENGTH_PER_CELL: Final = "Image_Neurite_LengthPerCell"
BROAD: Final = "Image_Neurite_BroadFraction"
NUCLEI: Final = "Image_Count_Nuclei"
NUCLEI_SKIPPED: Final = "Image_Count_NucleiSkipped"


PER_AREA: Final = (
    "Image_Soma_AreaFraction",
    "Image_Neurite_AreaFraction",
    quality.DEBRIS,
)
"""Shares of the part of a field that was taken."""


@dataclass(frozen=True, slots=True)
class FieldMorphology:
    """What was measured on one field.

    Attributes
    ----------
    features
        One number an image, by column name.
    cells
        One row a soma: column name → array of as many values as there are somas.
    soma
        Shape (Y, X), uint16: object number of the soma, 0 outside.
    neurites
        Shape (Y, X), uint16: skeleton; object number of the soma that the neurite grows from,
        65535 where it leads to none in this image, 0 outside.
    nuclei
        Shape (Y, X), uint16: number of the nucleus; None without a nuclear channel.
    """

    features: dict[str, float]
    cells: CellColumns
    soma: LabelPlane
    neurites: LabelPlane
    nuclei: LabelPlane | None = None

    @property
    def labels(self) -> dict[str, LabelPlane]:
        """Label images by name."""
        planes = {"soma": self.soma, "neurites": self.neurites}
        return planes if self.nuclei is None else planes | {"nuclei": self.nuclei}


def classic_columns(pixel_size_um: float | None) -> tuple[str, str, str]:
    """Names of the study's three features: cell count, mean soma area, total neurite length."""
    return (
        N_CELLS,
        with_unit(MEAN_SOMA_AREA, 2, pixel_size_um),
        with_unit(TOTAL_LENGTH, 1, pixel_size_um),
    )


CLASSIC_COLUMNS: Final = classic_columns(1.0)
"""The classic set where there is a pixel size (µm, µm²)."""

CLASSIC_COLUMNS_PX: Final = classic_columns(None)
"""The classic set where there is none (px, px²)."""


def measure_field(
    image: NDArray[Any],
    *,
    pixel_size_um: float | None,
    settings: MorphologyConfig,
    nuclei: NDArray[Any] | None = None,
    markers: Mapping[str, NDArray[Any]] | None = None,
    flat: FloatPlane | None = None,
    given: Given = NOTHING,
) -> FieldMorphology:
    """Measure one field.

    Parameters
    ----------
    image
        Shape (Y, X), unsigned integer or float, the channel that shows the neurites. Black parts
        of stitched or rotated fields (:mod:`hcs.ops.blank`) count in no statistic and no area.
    pixel_size_um
        Edge of a pixel; None where the source has none: results are then in pixels.
    settings
        Scales, thresholds and the set of features. Scales left out are estimated.
    nuclei
        Shape (Y, X), the nuclear channel: nuclei then seed the somas.
    markers
        Planes of the markers of ``settings.markers``, by the marker's name.
    flat
        Shape (Y, X): relative illumination that the image is divided by.
    given
        Objects that others have segmented: they keep their numbers.

    Returns
    -------
    FieldMorphology
        An image without cells has count 0 and length 0; means over cells are then NaN, since
        there is nothing to average.

    Raises
    ------
    ImageReadError
        When a plane is not one of numbers, see :func:`hcs.ops.intensity.plane_statistics`.
    """
    assay = _as_neurons(settings)
    plane = _Plane.of(image, settings.tuning.blank)
    values: FloatPlane = plane.filled.astype(np.float32)
    if flat is not None:
        values /= flat
    shown = show_objects(values, settings, pixel_size_um)
    settings = with_estimates(settings, [shown], pixel_size_um)
    scales, tuning = Scales.of(settings, pixel_size_um), settings.tuning
    dark = find_saturated(image, plane.statistics, scales.soma_diameter_px, tuning.saturated)
    sight = look(values, assay, scales, tuning, dark)
    signal = sight.signal
    nuclear = _find_nuclei(nuclei, given, scales, tuning)
    somas = _find_somas(sight, (nuclear, given), scales, settings, plane.blank)
    neurites = trace_neurites(
        sight.ridges, sight.centers, somas, scales, tuning.neurites, plane.blank
    )
    full = assay.feature_set == "full"
    cells = _cells(signal, somas, neurites, pixel_size_um, full=full)
    features = _shape_features(cells, somas, neurites, pixel_size_um)
    features |= _plane_features(plane, sight, somas, tuning)
    features |= {name: features[name] / (1.0 - plane.blank_share) for name in PER_AREA}
    if full:
        along = Along.of(signal, somas, neurites, scales, tuning.neurites)
        cells |= arbor_columns(somas, neurites, along, pixel_size_um, tuning.neurites)
        features |= full_features(signal, cells, neurites, along, pixel_size_um, tuning)
        features |= gray_features(values, signal, scales, plane.blank, tuning)
    if nuclear is not None:
        features |= _count_nuclei(nuclear, somas)
    for marker in settings.markers:
        found = _measure_marker((markers or {})[marker.name], marker, somas, scales, tuning)
        cells |= found
        features |= marker_features(found, marker, somas.count)
    return _restore_numbers(
        FieldMorphology(features, cells, somas.labels, neurites.labels(), nuclear), given
    )


def _measure_marker(
    image: NDArray[Any], marker: Marker, somas: Somas, scales: Scales, tuning: Tuning
) -> CellColumns:
    plane = fill_blank(image, tuning.blank)[0]
    diameter = scales.soma_diameter_px
    return marker_columns(plane, somas.labels, somas.count, marker, diameter, tuning)


def _find_nuclei(
    nuclei: NDArray[Any] | None, given: Given, scales: Scales, tuning: Tuning
) -> LabelPlane | None:
    if given.nuclei is not None:
        return given.nuclei.labels
    if nuclei is None:
        return None
    filled = _Plane.of(nuclei, tuning.blank).filled
    return segment_nuclei(filled, scales.nucleus_diameter_px, tuning.nuclei)


def _find_somas(
    sight: Sight,
    known: tuple[LabelPlane | None, Given],
    scales: Scales,
    settings: MorphologyConfig,
    blank: NDArray[np.bool_] | None,
) -> Somas:
    """Find somas, seeded by nuclei where there are some; or take those that were given."""
    nuclei, given = known
    if given.cells is not None:
        return take_somas(given.cells)
    tuning, threshold = settings.tuning, _as_neurons(settings).soma_threshold
    somas = segment_somas(sight.bodies, sight.body_counts, scales, threshold, tuning.somas)
    if blank is not None:
        somas = cut_somas(somas, blank, scales, tuning.somas)
    if nuclei is None:
        return somas
    return seed_somas(somas, nuclei, sight.bodies, sight.body_counts, scales, tuning.seeding)


def _restore_numbers(found: FieldMorphology, given: Given) -> FieldMorphology:
    """Let given objects have the numbers that they were given."""
    cells, nuclei = given.cells, given.nuclei
    if nuclei is not None and found.nuclei is not None:
        found = replace(found, nuclei=nuclei.restore(found.nuclei))
    if cells is None:
        return found
    return replace(
        found,
        cells=found.cells | {"Cells_ObjectNumber": cells.numbers},
        soma=cells.restore(found.soma),
        neurites=cells.restore(found.neurites, kept=UNASSIGNED),
    )


def _count_nuclei(nuclei: LabelPlane, somas: Somas) -> dict[str, float]:
    """Nuclei of a field, and those that are no cell by the reason; none where cells were given."""
    counts = {NUCLEI: float(nuclei.max())}
    if somas.skipped:
        counts[NUCLEI_SKIPPED] = float(sum(somas.skipped.values()))
        counts |= {f"{NUCLEI_SKIPPED}_{why}": float(n) for why, n in somas.skipped.items()}
    return counts


def _as_neurons(settings: MorphologyConfig) -> Neurons:
    if isinstance(settings.assay, Neurons):
        return settings.assay
    msg = f"the assay {settings.assay.kind!r} has no kernel"
    raise InputError(msg)


@dataclass(frozen=True, slots=True)
class _Plane:
    """A plane whose blank part is filled, with the statistics of the rest."""

    filled: NDArray[Any]
    statistics: PlaneStatistics
    blank: NDArray[np.bool_] | None

    @classmethod
    def of(cls, image: NDArray[Any], tuning: BlankTuning) -> _Plane:
        statistics = plane_statistics(image)
        filled, blank = fill_blank(image, tuning)
        if blank is not None:
            statistics = plane_statistics(image[~blank][None])
        return cls(filled, statistics, blank)

    @property
    def blank_share(self) -> float:
        return _area_share(self.blank)


def _cells(
    signal: FloatPlane,
    somas: Somas,
    neurites: Neurites,
    pixel_size_um: float | None,
    *,
    full: bool,
) -> CellColumns:
    cells = soma_columns(signal, somas, pixel_size_um, full=full)
    length = np.bincount(neurites.owner, neurites.lengths, UNASSIGNED + 1)[1 : somas.count + 1]
    size = 1.0 if pixel_size_um is None else pixel_size_um
    cells[with_unit("Cells_Neurite_Length", 1, pixel_size_um)] = length * size
    return cells


def _plane_features(plane: _Plane, sight: Sight, somas: Somas, tuning: Tuning) -> dict[str, float]:
    """Gray levels and quality of the part of a field that was taken, and what hides the rest."""
    statistics = plane.statistics
    return {
        "Image_Intensity_Mean": statistics.mean,
        "Image_Intensity_Median": statistics.median,
        "Image_Intensity_Maximum": statistics.maximum,
        **quality.image_quality(plane.filled, statistics, tuning.quality, plane.blank),
        quality.DEBRIS: float(somas.debris.mean()),
        quality.BLANK: plane.blank_share,
        quality.GLARE: _area_share(sight.glare),
        quality.SATURATED_AREA: _area_share(sight.saturated),
    }


def _area_share(area: NDArray[np.bool_] | None) -> float:
    return 0.0 if area is None else float(area.mean())


def _shape_features(
    cells: CellColumns, somas: Somas, neurites: Neurites, pixel_size_um: float | None
) -> dict[str, float]:
    size = 1.0 if pixel_size_um is None else pixel_size_um
    area = cells[with_unit("Cells_Soma_Area", 2, pixel_size_um)]
    total = float(neurites.lengths.sum()) * size
    count = somas.count
    return {
        N_CELLS: float(count),
        with_unit(MEAN_SOMA_AREA, 2, pixel_size_um): float(area.mean()) if count else np.nan,
        with_unit(TOTAL_LENGTH, 1, pixel_size_um): total,
        with_unit(CORRECTED_LENGTH, 1, pixel_size_um): neurites.corrected_px * size,
        with_unit(LENGTH_PER_CELL, 1, pixel_size_um): total / count if count else np.nan,
        "Image_Soma_AreaFraction": float((somas.labels > 0).mean()),
        "Image_Neurite_AreaFraction": float(neurites.mask.mean()),
        "Image_Neurite_UnassignedFraction": _share(
            neurites.lengths[neurites.owner == UNASSIGNED].sum(), neurites.lengths.sum()
        ),
        BROAD: _share(neurites.lengths[neurites.broad].sum(), neurites.lengths.sum()),
    }


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else 0.0
