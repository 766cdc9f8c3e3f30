"""One field measured: cells, neurites, intensity and quality as features, rows and labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hcs.domain.config import MorphologyConfig
from hcs.domain.tables import N_CELLS, with_unit
from hcs.ops import quality
from hcs.ops.filters import estimate_background
from hcs.ops.intensity import plane_statistics
from hcs.ops.neurites import UNASSIGNED, Neurites, trace_neurites
from hcs.ops.ridges import find_centers, find_ridges
from hcs.ops.scales import Scales, with_estimates
from hcs.ops.segment import LabelPlane, Somas, segment_somas

MEAN_SOMA_AREA: Final = "Image_Soma_MeanArea"
TOTAL_LENGTH: Final = "Image_Neurite_TotalLength"
LENGTH_PER_CELL: Final = "Image_Neurite_LengthPerCell"

CellColumns = dict[str, NDArray[Any]]


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
    """

    features: dict[str, float]
    cells: CellColumns
    soma: LabelPlane
    neurites: LabelPlane


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
    image: NDArray[Any], *, pixel_size_um: float | None, settings: MorphologyConfig
) -> FieldMorphology:
    """Measure one field.

    Parameters
    ----------
    image
        Shape (Y, X), unsigned integer or float, the channel that shows the neurites.
    pixel_size_um
        Edge of a pixel; None where the source has none: results are then in pixels.
    settings
        Scales and thresholds.

    Returns
    -------
    FieldMorphology
        An image without cells has count 0 and length 0; means over cells are then NaN, since
        there is nothing to average.

    Raises
    ------
    ImageReadError
        When the image is not one plane of numbers, see
        :func:`hcs.ops.intensity.plane_statistics`.
    """
    statistics = plane_statistics(image)
    settings = with_estimates(settings, [image], pixel_size_um)
    scales = Scales.of(settings, pixel_size_um)
    values = image.astype(np.float32)
    signal = values - estimate_background(values, scales.soma_diameter_px)
    ridges = find_ridges(signal, scales.ridge_sigma_px)
    centers = find_centers(ridges, settings.neurite_threshold)
    somas = segment_somas(signal, centers.brightness, scales, settings)
    neurites = trace_neurites(ridges, centers, somas, scales)
    cells = _cell_columns(values, somas, neurites, pixel_size_um)
    features = {
        **_shape_features(cells, somas, neurites, pixel_size_um),
        "Image_Intensity_Mean": statistics.mean,
        "Image_Intensity_Median": statistics.median,
        "Image_Intensity_Maximum": statistics.maximum,
        **quality.image_quality(image),
        quality.DEBRIS: float(somas.debris.mean()),
    }
    return FieldMorphology(features, cells, somas.labels, neurites.labels())


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
        with_unit(LENGTH_PER_CELL, 1, pixel_size_um): total / count if count else np.nan,
        "Image_Soma_AreaFraction": float((somas.labels > 0).mean()),
        "Image_Neurite_AreaFraction": float(neurites.mask.mean()),
        "Image_Neurite_UnassignedFraction": _share(
            neurites.lengths[neurites.owner == UNASSIGNED].sum(), neurites.lengths.sum()
        ),
    }


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else 0.0


def _cell_columns(
    image: NDArray[np.float32], somas: Somas, neurites: Neurites, pixel_size_um: float | None
) -> CellColumns:
    size = 1.0 if pixel_size_um is None else pixel_size_um
    count = somas.count
    places = np.flatnonzero(somas.labels)
    owner = somas.labels.ravel()[places]
    y, x = np.divmod(places, somas.labels.shape[1])

    def per_cell(weights: NDArray[Any] | None = None) -> NDArray[np.float64]:
        return np.bincount(owner, weights, count + 1)[1:].astype(np.float64)

    area = per_cell()
    length = np.bincount(neurites.owner, neurites.lengths, UNASSIGNED + 1)[1 : count + 1]
    return {
        "Cells_ObjectNumber": np.arange(1, count + 1, dtype=np.int64),
        "Cells_Location_Center_X_px": per_cell(x) / area,
        "Cells_Location_Center_Y_px": per_cell(y) / area,
        with_unit("Cells_Soma_Area", 2, pixel_size_um): area * size**2,
        "Cells_Soma_MeanIntensity": per_cell(image.ravel()[places]) / area,
        with_unit("Cells_Neurite_Length", 1, pixel_size_um): length * size,
        "Cells_Soma_TouchesBorder": _touches_border(somas),
    }


def _touches_border(somas: Somas) -> NDArray[np.bool_]:
    labels = somas.labels
    rim = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    touching = np.zeros(somas.count + 1, bool)
    touching[rim] = True
    return touching[1:]
