"""Cells of a field: which there are, from nuclei, from bodies, from both or from given labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hcs.domain.config.stages import Cells, MorphologyConfig
from hcs.domain.tuning.sets import Tuning
from hcs.errors import InputError
from hcs.ops.cells.bodies import draw_rings, outline_bodies
from hcs.ops.cells.compartments import Compartment
from hcs.ops.cells.focus import drop_blurred
from hcs.ops.cells.lone import estimate_body_diameter, segment_bodies
from hcs.ops.given import Given, Objects
from hcs.ops.scales import Scales
from hcs.ops.somas.nuclei import estimate_nuclear_diameter, segment_nuclei

NUCLEI, CELLS, CYTOPLASM = "Nuclei", "Cells", "Cytoplasm"

_MIN_INSIDE: float = 0.5
"""A nucleus is in a given cell when at least this share of it is."""


@dataclass(frozen=True)
class FoundCells:
    """Cells of one field.

    Attributes
    ----------
    parts
        Compartments, the one that is counted first; all have the same numbers.
    diameter_px
        Usual diameter of a cell.
    n_nuclei
        Number of nuclei, None where none were looked for.
    n_skipped
        Nuclei that are no cell: out of focus, or outside of cells that were given.
    stained
        Shape (count,), bool: whether the stain of the body stands out; None without such a stain.
    given
        Objects whose numbers the cells keep.
    """

    parts: tuple[Compartment, ...]
    diameter_px: float
    n_nuclei: int | None = None
    n_skipped: int = 0
    stained: NDArray[np.bool_] | None = None
    given: Objects | None = None

    @property
    def count(self) -> int:
        """Number of cells."""
        return self.parts[0].count

    def part(self, name: str) -> Compartment | None:
        """Return a compartment by its name, None where there is none."""
        return next((part for part in self.parts if part.name == name), None)

    def labels(self) -> dict[str, NDArray[Any]]:
        """Label images to keep, by name, in given numbers where there are some."""
        planes = {part.name.lower(): part.labels for part in self.parts if part.name != CYTOPLASM}
        if self.given is None:
            return planes
        return {name: self.given.restore(plane) for name, plane in planes.items()}


def find_cells(
    body: NDArray[Any] | None,
    nuclei: NDArray[Any] | None,
    settings: MorphologyConfig,
    pixel_size_um: float | None,
    given: Given,
) -> FoundCells:
    """Find the cells of a field.

    Parameters
    ----------
    body, nuclei
        Shape (Y, X): stain of the cytoplasm and nuclear channel, or None; blank parts filled.
    settings
        The assay, its sizes and constants.
    pixel_size_um
        Edge of a pixel; None where the source has none.
    given
        Objects that others have segmented.

    Raises
    ------
    InputError
        When there is nothing to find cells in.
    """
    tuning = settings.tuning
    scales = Scales.of(settings, pixel_size_um)
    nuclear, diameter, n_blurred = _find_nuclei(nuclei, scales.nucleus_diameter_px, given, tuning)
    if not isinstance(settings.assay, Cells):
        if nuclear is None:
            msg = "the assay 'nuclei' needs a nuclear channel: name it with --nuclei"
            raise InputError(msg)
        part = Compartment(NUCLEI, nuclear.labels, nuclear.count)
        n_nuclei = part.count + n_blurred
        return FoundCells((part,), diameter, n_nuclei, n_blurred, given=given.nuclei)
    if given.cells is not None:
        return _take_given(given.cells, nuclear, diameter)
    if nuclear is None:
        return _find_lone(body, settings, pixel_size_um)
    stained = None
    if body is None:
        width = settings.assay.ring_width_px(pixel_size_um)
        cells = draw_rings(
            nuclear.labels, diameter * tuning.cells.ring_diameters if width is None else width
        )
    else:
        bodies = outline_bodies(body, nuclear.labels, diameter, tuning.cells)
        cells, stained = bodies.labels, bodies.stained
    parts = _list_parts(cells, nuclear.labels, nuclear.count)
    n_nuclei = nuclear.count + n_blurred
    return FoundCells(parts, 2 * diameter, n_nuclei, n_blurred, stained, given.nuclei)


def _find_nuclei(
    plane: NDArray[Any] | None, diameter_px: float | None, given: Given, tuning: Tuning
) -> tuple[Objects | None, float, int]:
    """Nuclei, if any are given or to be found, their usual diameter, and how many are blurred."""
    if given.nuclei is not None:
        area = np.bincount(given.nuclei.labels.ravel())[1:]
        usual = np.sqrt(4 / np.pi * np.median(area)) if area.size else 0.0
        return given.nuclei, diameter_px or float(usual) or tuning.nuclei.usual_diameter_px, 0
    if plane is None:
        return None, diameter_px or tuning.nuclei.usual_diameter_px, 0
    diameter = diameter_px or estimate_nuclear_diameter(plane, tuning.nuclei)
    diameter = diameter or tuning.nuclei.usual_diameter_px
    found = segment_nuclei(plane, diameter, tuning.nuclei)
    labels = drop_blurred(plane, found, tuning.cells)
    count = int(labels.max(initial=0))
    n_blurred = int(found.max(initial=0)) - count
    return Objects(labels, np.arange(1, count + 1)), diameter, n_blurred


def _find_lone(
    body: NDArray[Any] | None, settings: MorphologyConfig, pixel_size_um: float | None
) -> FoundCells:
    """Find bodies where nothing shows the nuclei."""
    if body is None:
        msg = "the assay 'cells' needs a nuclear channel (--nuclei) or a stain (--channel)"
        raise InputError(msg)
    tuning = settings.tuning.cells
    diameter = settings.sizes.in_px("soma_diameter", pixel_size_um)
    diameter = diameter or estimate_body_diameter(body, tuning) or tuning.usual_diameter_px
    labels = segment_bodies(body, diameter, tuning)
    part = Compartment(CELLS, labels, int(labels.max(initial=0)))
    return FoundCells((part,), diameter)


def _take_given(cells: Objects, nuclear: Objects | None, diameter: float) -> FoundCells:
    """Take given cells; a nucleus belongs to the cell that it lies in."""
    if nuclear is None:
        part = Compartment(CELLS, cells.labels, cells.count)
        areas = part.area_px
        usual = float(np.sqrt(4 / np.pi * np.median(areas))) if areas.size else diameter
        return FoundCells((part,), usual, given=cells)
    area = np.bincount(nuclear.labels.ravel(), minlength=nuclear.count + 1)[1:]
    held = np.bincount(nuclear.labels.ravel(), cells.labels.ravel() > 0, nuclear.count + 1)[1:]
    skipped = int((held < _MIN_INSIDE * area).sum())
    owned = np.where(nuclear.labels > 0, cells.labels, 0).astype(cells.labels.dtype)
    parts = _list_parts(cells.labels, owned, cells.count)
    return FoundCells(parts, 2 * diameter, nuclear.count, skipped, given=cells)


def _list_parts(
    cells: NDArray[Any], nuclei: NDArray[Any], count: int
) -> tuple[Compartment, Compartment, Compartment]:
    between = np.where(nuclei > 0, 0, cells).astype(cells.dtype)
    return (
        Compartment(CELLS, cells, count),
        Compartment(NUCLEI, nuclei, count),
        Compartment(CYTOPLASM, between, count),
    )
