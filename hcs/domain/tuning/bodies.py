"""Constants of cell bodies and nuclei: where they are, how they are parted, what debris is."""

from __future__ import annotations

from pydantic import PositiveFloat, PositiveInt

from hcs.domain.tuning.base import Percentile, Share, Tuned


class SomaTuning(Tuned):
    """Constants of :mod:`hcs.ops.somas.segment`.

    Fitted on drawn fields (``benchmarks/morphology/fields.py``, seeds from 2,000) unless a line
    says otherwise; benchmarks/RESULTS.md has the figures on fields that were held out.
    """

    working_diameter_px: PositiveFloat = 10.5
    """Somas are found on an image coarse enough for them to have about this diameter."""

    blur_diameters: PositiveFloat = 1 / 20
    """Blur before the search and before outlining, in soma diameters."""

    opening_diameters: PositiveFloat = 0.47
    """Diameter of the disk that erases neurites, in soma diameters."""

    min_area_fraction: PositiveFloat = 0.22
    """Smaller bodies, in areas of a disk of the soma's diameter, are debris."""

    min_fill: Share = 0.77
    """Mean of a soma after the opening over its mean before. A body loses little (0.8 and more on
    drawn fields); a bundle or a crossing of neurites is not filled and loses more (0.78 and less).
    """

    full: Share = 0.93
    """What is filled as evenly as this may have surroundings as bright as itself."""

    max_glare: PositiveFloat = 0.8
    """Mean of the pixels around a soma over its own height. Where neurites cross, bright ones lead
    away all around. At 0.4 a third of the somas of ``hcs simulate``, which lie among bright beads,
    were lost (r = 0.58 with the truth); at 0.8 counts are 2 % too high there (r = 0.96)."""

    min_pixel_fill: Share = 0.65
    """The same as ``min_fill`` of a single pixel: below, it belongs to a neurite that leaves."""

    noise_margin_sds: PositiveFloat = 2.0
    """The opening picks low values: it loses about this many standard deviations of the noise."""

    seed_diameters: PositiveFloat = 0.5
    """Centers of two somas lie at least this many diameters apart."""

    blob_diameters: PositiveFloat = 0.3
    """Scale of the blobs, in soma diameters. At 0.25 counts were 4 % too high on fields of ``hcs
    simulate``, at 0.33 3 % too low; by distance alone they were 4 % too low (150 fields each)."""

    distance_power: PositiveFloat = 2
    """Power of the distance to the border in what the centers of somas are maxima of."""

    summit_diameters: PositiveFloat = 1.5
    """Width of the neighborhood whose highest soma a pixel is compared with."""

    summit_fraction: Share = 0.4
    """What is lower than this share of a soma beside it belongs to its flank or its neurites."""

    zone_diameters: PositiveFloat = 0.3
    """An outline lies at most this far outside of its seed region."""

    noise_multiple: PositiveFloat = 5.0
    """No soma is fainter than this many standard deviations of the noise."""

    height_percentile: Percentile = 75
    """A soma's own height is this percentile of its opened values."""

    base_percentile: Percentile = 50
    """The level around a soma is this percentile of the values beside it."""

    outline_fraction: Share = 0.5
    """An outline lies at this share of the way from the level around to the height: half-way is
    where the edge of a blurred body lies."""

    trim_diameters: PositiveFloat = 0.6
    """Diameter of the disk that must fit everywhere into an outline, in soma diameters."""


class SeedingTuning(Tuned):
    """Constants of :mod:`hcs.ops.somas.seeding`; looked at on ``isl_tuj1`` (TUJ1 and DAPI)."""

    min_overlap: Share = 0.5
    """A nucleus belongs to a body when at least this share of it lies within."""

    shell_diameters: PositiveFloat = 0.2
    """Width of the shell around a nucleus in which the stain of its cell is looked for, in soma
    diameters."""

    min_stained: Share = 0.7
    """The stain surrounds a nucleus on at least this share of the shell; a neurite that passes by
    covers less."""

    stain_fraction: Share = 0.5
    """Stained is what is at least this share as high as neurites usually are."""

    faint_noise_sds: PositiveFloat = 2.0
    """Faintly stained is what exceeds the ground by this many standard deviations of the noise."""

    faint_blur_diameters: PositiveFloat = 0.08
    """Blur before that is asked, in soma diameters: a faint stain is below the noise of a pixel."""

    usual_stained: Share = 0.2
    """Where fewer of the nuclei that have any stain around them reach the height of neurites, that
    height says nothing of bodies, and any stain counts …"""

    comparable: Share = 0.25
    """… if it is at least this share as high as around the nuclei that do; else the few are the
    cells, and the rest is haze."""


class NucleiTuning(Tuned):
    """Constants of :mod:`hcs.ops.somas.nuclei` and ``nuclei_pieces``.

    Chosen on ``stardist_img`` and ExampleHuman (benchmarks/RESULTS.md, Real nuclei).
    """

    usual_diameter_px: PositiveFloat = 16.0
    """Diameter of a nucleus where the image shows none to estimate it from."""

    blur_diameters: PositiveFloat = 1 / 24
    """Blur before the search, in diameters of a nucleus."""

    min_blur_px: PositiveFloat = 0.7
    """Least blur before the search."""

    max_blur_px: PositiveFloat = 2.0
    """More would move the outlines of large nuclei outward."""

    estimate_blur_px: PositiveFloat = 1.0
    """Blur before the diameter is estimated."""

    estimate_openings: PositiveInt = 2
    """Turns of the opening that frees nuclei of specks and threads before their size is estimated.
    """

    ground_blocks: PositiveInt = 6
    """Blocks along a nucleus' diameter in the coarse image that the ground is read from."""

    ground_window_diameters: PositiveFloat = 1.5
    """Window of the opening that finds the ground: a wider one counts the glow of a crowd as
    signal."""

    edge_diameters: PositiveFloat = 0.1
    """Scale of the Laplacian whose sign changes at the edge of a nucleus, in its diameters."""

    floor: Share = 0.7
    """No nucleus is fainter than this share of the level of least cross-entropy."""

    noise_multiple: PositiveFloat = 6.5
    """No nucleus is fainter than this many standard deviations of the blurred noise above ground.
    """

    seed_blur_diameters: PositiveFloat = 0.12
    """Blur of the distance to the edge whose summits are nuclei, in diameters."""

    seed_diameters: PositiveFloat = 0.3
    """Two summits of the distance to the edge lie at least about this many diameters apart."""

    reach_diameters: PositiveFloat = 0.1
    """An outline lies at most this far outside of the sign change of the Laplacian."""

    height_percentile: Percentile = 75
    """A nucleus' own height is this percentile of its values."""

    outline_fraction: Share = 0.5
    """Share of its own height at which an outline by that height alone would lie."""

    own_weight: Share = 0.55
    """An outline lies between the level of the whole image (0) and half of the nucleus' own height
    (1), in logarithms. Masks that were drawn by hand follow the own height, CellProfiler and
    thresholds the level of the image; no weight agrees with both as well as one between."""

    min_area_fraction: PositiveFloat = 0.12
    """Smaller objects, in areas of a disk of the usual diameter, are debris."""

    min_rim_area_fraction: PositiveFloat = 0.03
    """The same of objects that the border of the image cuts."""

    min_neck: Share = 0.8
    """Two pieces are one nucleus when the passage between them is at least this share as wide as
    the narrower of both. Two equal disks whose centers lie 1.2 radii apart have a passage of 0.8.
    """

    max_contrast: PositiveFloat = 1.6
    """Pieces whose mean heights differ by more than this factor are two nuclei, one over the other.
    """

    min_elliptic: Share = 0.95
    """Area over that of the ellipse with the same second moments. An ellipse has 1, two equal disks
    side by side 0.89."""

    min_estimate_share: Share = 0.1
    """Specks smaller than this share of the object at half of the covered area have no say in the
    diameter."""

    min_estimate_area_px: PositiveInt = 20
    """Smaller objects do not count for the usual diameter, in pixels of area."""
