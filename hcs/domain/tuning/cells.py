"""Constants of the bodies of cells that have no neurites."""

from __future__ import annotations

from pydantic import PositiveFloat, PositiveInt

from hcs.domain.tuning.base import Percentile, Share, Tuned


class CellTuning(Tuned):
    """Constants of :mod:`hcs.ops.cells`.

    Chosen on ExampleHuman and the pediatric cells; benchmarks/RESULTS.md has the figures on sets
    that were held out.
    """

    working_px: PositiveFloat = 9.0
    """Bodies are found on an image coarse enough for nuclei to have at least this diameter."""

    blur_diameters: PositiveFloat = 1 / 16
    """Blur before the search, in diameters of a nucleus."""

    min_blur_px: PositiveFloat = 0.7
    """Least blur before the search."""

    ground_percentile: Percentile = 5
    """Percentile of the image that is taken for ground: cells may cover nearly all of it."""

    level_share: Share = 0.8
    """Bodies reach down to this share of the level of least cross-entropy: a rim is dimmer than
    its cell. CellProfiler's example pipelines take the same share."""

    own_share: Share = 0.5
    """A cell dimmer than the level reaches down to this share of what surrounds its nucleus."""

    shell_diameters: PositiveFloat = 0.3
    """Width of the shell around a nucleus in which the stain of its own cell is read."""

    dim_reach_diameters: PositiveFloat = 1.5
    """A cell that is outlined by its own height alone reaches at most so far from its nucleus, in
    diameters of a nucleus."""

    floor_share: Share = 0.25
    """No stain is dimmer than this share of the level: background is never quite even."""

    noise_multiple: PositiveFloat = 5.0
    """No stain is dimmer than this many standard deviations of the blurred noise."""

    evenness: PositiveFloat = 0.3
    """Change of light, in heights of a usual cell, that costs a label on its way as much as a
    step of one pixel. From 0.05 to 1 areas keep r = 0.93 with CellProfiler's."""

    min_sharpness: Share = 0.35
    """Slope along a nucleus' outline over its height, in that of the median nucleus of the field:
    below, it is out of focus and counted as skipped. Glow of debris above the pediatric cells has
    0.22 to 0.32, the least of ExampleHuman's nuclei 0.37, of stardist's 0.58."""

    min_focus_nuclei: PositiveInt = 5
    """Among fewer nuclei none is called out of focus."""

    focus_blur_px: PositiveFloat = 1.0
    """Blur before the slope is taken."""

    focus_ground_percentile: Percentile = 10
    """Percentile of the image from which heights count."""

    ring_diameters: PositiveFloat = 0.3
    """Width of the ring that stands for a cell without a stain, in diameters of its nucleus."""

    seed_blur_diameters: PositiveFloat = 0.08
    """Blur of the distance to the edge whose summits are cells, in diameters of a cell. This and
    what follows is of cells without nuclei."""

    seed_diameters: PositiveFloat = 0.3
    """Two such summits lie at least about this many diameters apart."""

    min_area_fraction: Share = 0.12
    """Smaller bodies, in areas of a disk of the usual diameter, are debris."""

    min_rim_area_fraction: Share = 0.03
    """The same of bodies that the border of the image cuts."""

    usual_diameter_px: PositiveFloat = 40.0
    """Diameter of a cell where the image shows none to estimate it from."""

    estimate_px: PositiveInt = 512
    """Longer edge of the coarse image that the diameter of cells is estimated on."""

    estimate_openings: PositiveInt = 2
    """Turns of the opening that frees cells of specks and threads."""

    estimate_window_px: PositiveInt = 7
    """Window in which a summit of the distance to the edge is the highest."""

    width_diameters: PositiveFloat = 1.2
    """Diameter of the disk of a cell's area over its inner width: cells are longer than wide."""
