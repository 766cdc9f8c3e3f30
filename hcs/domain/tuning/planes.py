"""Constants of whole planes: background, parts without an image, light, quality, texture."""

from __future__ import annotations

from pydantic import PositiveFloat, PositiveInt

from hcs.domain.tuning.base import Percentile, Share, Tuned


class BackgroundTuning(Tuned):
    """Constants of :func:`hcs.ops.filters.estimate_background`."""

    blocks_per_soma: PositiveInt = 3
    """Blocks along a soma's diameter in the coarse image that the background is read from."""

    window_somas: PositiveFloat = 3.0
    """Window of the opening, in soma diameters: wide enough to hold background beside every cell.
    """


class ContrastTuning(Tuned):
    """Constants of :mod:`hcs.ops.contrast`, chosen on drawn fields of four kinds of light."""

    blocks_per_object: PositiveInt = 3
    """Blocks along an object's diameter in the coarse image that the ground is read from."""

    window_objects: PositiveFloat = 5.0
    """Window of the median that is the ground, in diameters of an object."""

    soma_reach_diameters: PositiveFloat = 0.16
    """Neighborhood over which the deviation is averaged for somas, in their diameters: a lit and a
    shaded side become one body."""

    neurite_reach_widths: PositiveFloat = 0.3
    """The same for neurites, in their widths."""

    min_reach_px: PositiveFloat = 0.5
    """Least standard deviation of that neighborhood."""

    quiet_percentile: Percentile = 10
    """The spread of the ground is read between this percentile of the deviation and its median."""

    ground_spreads: float = 2.0
    """What exceeds the median by less than this many such spreads is ground."""

    body_width_diameters: PositiveFloat = 0.7
    """Where a disk of this many soma diameters fits into what is that high, there is a body, whose
    rims are no neurites."""

    body_level: Share = 0.5
    """Somas are higher than this share of the level between both classes of what is seen."""


class BlankTuning(Tuned):
    """Constants of :mod:`hcs.ops.blank`."""

    min_share: Share = 0.002
    """Smaller black areas, in shares of the field, are a hole that no statistic sees."""

    min_area_px: PositiveInt = 256
    """Smaller black areas are dead pixels, in pixels of area."""

    rim_px: PositiveInt = 2
    """Interpolation mixes black into the pixels next to it; those are taken for black too."""

    min_step: Share = 0.5
    """Least share of their own median that 95 of 100 pixels beside a black area have."""

    block_px: PositiveInt = 32
    """Edge of the blocks whose median is the level that a black area is filled with."""

    min_known_share: Share = 0.25
    """Share of a block that has a value for its median to count."""

    smooth_blocks: PositiveFloat = 1.5
    """Reach of a block's level, in blocks."""

    fade_px: PositiveFloat = 32.0
    """What the edge of a blank part cuts goes on into it and fades over this distance."""

    overall_weight: PositiveFloat = 1e-3
    """Weight of the overall level, which decides far away from every known block."""


class GlareTuning(Tuned):
    """Constants of :mod:`hcs.ops.glare`, chosen on drawn fields with domes of light."""

    window_somas: PositiveFloat = 1.3
    """Window of the opening that somas do not survive, in their diameters."""

    min_noise_multiple: PositiveFloat = 8.0
    """Haze is higher than this many standard deviations of the noise of a block."""

    min_smooth: Share = 0.6
    """Share of the height that is left of haze by that opening: 0.84 and more with cells on it,
    0.1 of crowds of cells."""

    min_somas: PositiveFloat = 2.5
    """Haze covers at least the square of this many soma diameters."""

    margin_share: Share = 0.04
    """Share of the height of haze that does not count either: it is not known more exactly."""

    ground_percentile: Percentile = 5
    """The ground beside the haze is this percentile of the background."""

    blinding_noises: PositiveFloat = 2.0
    """Where the noise is this many times the usual one, nothing that lies in the haze is told from
    it."""

    usual_percentile: Percentile = 25
    """The usual noise is this percentile over the blocks of a field."""

    noise_block_px: PositiveInt = 32
    """Edge of the blocks in which that is read."""

    passes: PositiveInt = 4
    """How often haze is taken off: the opening cuts the top of a dome."""


class SaturatedTuning(Tuned):
    """Constants of :mod:`hcs.ops.saturated`."""

    min_somas: PositiveFloat = 2.5
    """Diameter of the disk that fits into a saturated area, in soma diameters; cells are smaller.
    """

    rim_px: PositiveInt = 3
    """What is this near to such an area is left out as well."""


class LightTuning(Tuned):
    """Constants of :mod:`hcs.ops.light.illumination`."""

    blocks: PositiveInt = 32
    """Blocks along the longer axis in which illumination is estimated."""

    min_fields: PositiveInt = 8
    """From fewer fields, cells would be taken for light."""

    degree: PositiveInt = 3
    """Illumination is smooth: a polynomial of this degree in both directions describes it."""

    min_explained: Share = 0.5
    """The polynomial describes at least this share of the variance of what fields share; else they
    share structure, as fields do that show the same object."""

    min_range: PositiveFloat = 0.05
    """A field that is this even (range over mean) is left alone."""

    max_range: PositiveFloat = 1.2
    """What is more uneven (range over mean) is no illumination: corners that get a quarter of the
    light of the middle have 1.2. Cells that lie in the same places of most fields gave 53."""

    max_zero_share: Share = 0.25
    """Where more pixels of the usual field are 0, its background was subtracted or clipped and
    shows no light."""

    inner_low_percentile: Percentile = 25
    """The level of a block is the mean of its pixels from this percentile on …"""

    inner_high_percentile: Percentile = 75
    """… to this one, so that cells that cover less than a quarter of it do not count."""

    floor: Share = 0.05
    """Least relative illumination; nothing is divided by less."""

    min_gain: Share = 0.3
    """The estimate of one half of the fields evens out the other half by at least this share."""


class QualityTuning(Tuned):
    """Constants of :mod:`hcs.ops.quality`."""

    spectrum_px: PositiveInt = 512
    """Edge of the middle part whose spectrum is taken; enough for the slope, bounded in time."""

    background_tiles: PositiveInt = 8
    """Tiles along each axis for the gradient of the background."""

    background_percentile: Percentile = 10
    """Percentile of a tile that counts as its background."""


class TextureTuning(Tuned):
    """Constants of :mod:`hcs.ops.texture`."""

    levels: PositiveInt = 32
    """Gray levels between both percentiles."""

    low_percentile: Percentile = 1.0
    """What is darker has the first gray level."""

    high_percentile: Percentile = 99.5
    """What is brighter has the last gray level."""


class MarkerTuning(Tuned):
    """Constants of :mod:`hcs.ops.markers`."""

    min_otsu_cells: PositiveInt = 8
    """Between fewer cells Otsu's level is chance: none is positive then."""

    min_parted_fraction: Share = 0.8
    """Share of the variance that two groups must explain to be two: of one bell curve cut in half
    it is 0.64."""

    min_level_spreads: PositiveFloat = 3.0
    """Or the level lies this many spreads of all cells above their median: few are positive."""

    min_gap: PositiveFloat = 0.7
    """Where Otsu's level halves the many negative cells, the widest gap above them parts the few
    positive ones, if it is so wide on the inverse hyperbolic sine (a factor of 2) and as high."""
