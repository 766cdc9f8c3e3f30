"""Constants of neurites: ridges, gaps, crossings, spurs, smoothing, and what lies hidden."""

from __future__ import annotations

from pydantic import PositiveFloat, PositiveInt

from hcs.domain.tuning.base import Cosine, Percentile, Share, Tuned


class RidgeTuning(Tuned):
    """Constants of :mod:`hcs.ops.neurites.ridges`, fitted on drawn fields (seeds from 2,000)."""

    sigma_widths: PositiveFloat = 0.42
    """Blur over width, which is that of a Gaussian profile; less would follow noise, more would
    merge neighbors."""

    alpha: Share = 1 / 3
    """Weight of the curvature along the line (Meijering et al. 2004, doi 10.1002/cyto.a.20022)."""

    low_fraction: Share = 0.4
    """Lower hysteresis level over the upper one: beaded neurites are followed through dim parts.
    Chosen on the masks of ``deepneurite``."""

    usual_share: Share = 0.5
    """The high level is at least this share of the usual strength of lines."""

    evidence_px: PositiveFloat = 7.0
    """A line is kept when its strength above the low level adds up to as much as this many pixels
    at the high level: few strong pixels or many weak ones."""

    neighborhood_sigmas: PositiveFloat = 4.0
    """Width of the neighborhood that a line is compared with, in standard deviations of the blur.
    """

    prominence: Share = 0.2
    """A line weaker than this share of the strongest ridge nearby belongs to its flank or end."""

    contrast: Share = 0.2
    """A line is narrow: its curvature is at least this share of its height above background. Half
    of that height is usual; the rims and folds of wide bodies have less."""

    line_contrast: Share = 0.3
    """The same of lines from which the usual brightness of neurites is taken."""

    broad_contrast: Share = 0.3
    """Lines whose curvature is a smaller share of their height stand on broad bright ground. Of
    neurites 5 to 33 % do (drawn fields, ``isl_tuj1``, ``deepneurite``), of lines inside of round
    cells 61 to 87 % (four stains of ``pediatric_brightfield``, ``spaom2020``)."""

    min_line_px: PositiveInt = 20
    """From fewer pixels of such lines the usual brightness of neurites is not known."""

    quiet_percentile: Percentile = 30
    """The response's spread is read here, so that even dense neurites do not enter into it."""

    quiet_to_sigma: PositiveFloat = 1.69
    """Standard deviation of one second derivative of white noise over that percentile of the
    strength; measured on drawn noise, the same at every scale."""

    slope_sigmas: PositiveFloat = 2.5
    """Slope along a line over its curvature across, in standard deviations of the blur."""

    center_reach_px: PositiveFloat = 0.75
    """A pixel is on the middle line when the ridge's top lies this near along both axes; half a
    pixel would be exact, the rest keeps the line connected."""


class BridgeTuning(Tuned):
    """Constants of :mod:`hcs.ops.neurites.bridges`, fitted on drawn fields (seeds from 2,000)."""

    max_gap_widths: PositiveFloat = 4.0
    """Longest gap that is closed, in neurite widths."""

    direction_widths: PositiveFloat = 2.5
    """The direction of a line's end is taken over this many neurite widths."""

    turns_deg: tuple[float, ...] = (0.0, 12.0, -12.0, 25.0, -25.0, 40.0, -40.0)
    """Directions that are looked along from an end, the likeliest first."""

    turn_cost_per_rad: PositiveFloat = 0.8
    """What a turn of one radian adds to the length of a gap, relative to it."""

    min_brightness: Share = 0.3
    """A gap is nowhere darker than this share of the line's brightness at its end."""


class CrossingTuning(Tuned):
    """Constants of :mod:`hcs.ops.neurites.crossings`, fitted on drawn fields (seeds from 2,000)."""

    direction_widths: PositiveFloat = 2.5
    """The direction of a branch is taken over this many neurite widths."""

    opening_cosine: Cosine = 0.42
    """Two branches go on along a third when both turn by less than 65°."""

    max_shared_widths: PositiveFloat = 10.0
    """Two neurites that cross at a small angle run together over at most this many widths."""

    knot_widths: PositiveFloat = 1.5
    """A shorter piece between two junctions is part of the knot in which two wide lines cross; its
    own direction, read over a few pixels, says nothing."""

    straight_cosine: Cosine = -0.7
    """Mean cosine between the arms of two crossing lines, -1 when both go straight on."""


class PruningTuning(Tuned):
    """Constants of :mod:`hcs.ops.neurites.prune` and of what is too short."""

    spur_widths: PositiveFloat = 3.0
    """Side branches shorter than this many neurite widths come from the neurite's own width."""

    passes: PositiveInt = 2
    """Spurs can carry spurs: removal is repeated so often at most."""

    trim_widths: PositiveFloat = 2.0
    """Loose ends are cut back by at most this many neurite widths."""

    spot_level: Share = 0.35
    """Share of a piece's greatest strength above which a neurite stays over most of its length."""

    spot_fraction: PositiveFloat = 0.9
    """A piece that stays above that level over less than this many least lengths is a spot."""


class PathTuning(Tuned):
    """Constants of :func:`hcs.ops.neurites.graph.smooth_path`.

    Two steps that smooth and one that undoes their shrinking, twice (Taubin 1995,
    doi 10.1145/218380.218473).
    """

    smoothing_steps: PositiveInt = 6
    """How many steps are taken; every third inflates."""

    shrink: Share = 0.5
    """Share of the way to the middle of its neighbors that a pixel goes."""

    inflate: float = -0.53
    """The same of the step that undoes the shrinking; negative."""


class HiddenTuning(Tuned):
    """Constants of :mod:`hcs.ops.neurites.hidden`: the column that estimates what no trace shows.

    Fitted on drawn fields (seeds from 2,000), whose neurites lie strewn at random: other cultures
    may need another width.
    """

    merging_widths: PositiveFloat = 0.86
    """Two neurites nearer than this many widths leave one trace."""

    window_widths: PositiveFloat = 60.0
    """Edge of the window in which the density of neurites is read."""

    own_length_windows: PositiveFloat = 1.1
    """Length of a neurite inside the window around one of its pixels, in edges of the window."""

    block_px: PositiveInt = 8
    """Edge of the blocks in which the density is read."""

    max_share: Share = 0.5
    """Where more than that would be hidden, the correction stops: the image shows too little."""


class ArborTuning(Tuned):
    """Constants of :mod:`hcs.ops.neurites.arbors` and ``widths``."""

    edge_px: PositiveInt = 3
    """An end this near to the edge of the plane is cut off, not an end."""

    bead_length_px: PositiveInt = 8
    """Branches of fewer pixels are too short to vary along themselves."""

    blur_ratio: PositiveFloat = 1.4
    """Ratio of the two blurs whose curvatures give a width (Lindeberg 1998)."""

    max_widths: PositiveFloat = 3.0
    """Wider than this many usual widths is no single neurite."""


class NeuriteTuning(Tuned):
    """Constants of everything about neurites."""

    ridges: RidgeTuning = RidgeTuning()
    bridges: BridgeTuning = BridgeTuning()
    crossings: CrossingTuning = CrossingTuning()
    pruning: PruningTuning = PruningTuning()
    path: PathTuning = PathTuning()
    hidden: HiddenTuning = HiddenTuning()
    arbors: ArborTuning = ArborTuning()
