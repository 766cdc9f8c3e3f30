"""What distinguishes one clone, batch or well from another before any neuron is drawn."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Texture:
    """Brightness along a neurite: a slow drift and quick beading, mixed at constant variance.

    Attributes
    ----------
    bead_period_um
        Mean distance of beads (varicosities).
    drift_period_um
        Wavelength of the slow changes of brightness.
    depth
        Standard deviation of the logarithm of the part of the brightness that varies.
    shaft
        Share of the mean brightness that does not vary, so that no neurite has gaps.
    bead_share
        Share of that variance (0..1) that beading has; the rest is drift. The distribution of
        brightness is the same whatever the share, so mean brightness and what a threshold finds
        do not depend on it.
    """

    bead_period_um: float = 10.0
    drift_period_um: float = 90.0
    depth: float = 1.2
    shaft: float = 0.45
    bead_share: float = 0.0


@dataclass(frozen=True, slots=True)
class NeuronStyle:
    """How the neurons of a well look; lengths in µm, brightness in photoelectrons a pixel.

    Attributes
    ----------
    neurons_per_mm2
        Expected density of somas.
    soma_radius_um, soma_radius_cv
        Mean of the geometric mean radius and its relative standard deviation between cells.
    touching_fraction
        Share of somas that are put right beside another one.
    neurites_per_soma
        Expected number of neurites that leave a soma.
    neurite_length_um
        Mean length of a neurite without its branches.
    branches_per_neurite
        Expected number of branches of one neurite.
    persistence_um
        Length over which a neurite keeps its direction.
    neurite_width_um
        Full width at half maximum of a thin neurite before the optics.
    neurite_electrons, soma_electrons
        Mean brightness above background.
    texture
        Brightness along the neurites.
    """

    neurons_per_mm2: float = 110.0
    soma_radius_um: float = 7.5
    soma_radius_cv: float = 0.15
    touching_fraction: float = 0.12
    neurites_per_soma: float = 4.0
    neurite_length_um: float = 85.0
    branches_per_neurite: float = 0.4
    persistence_um: float = 120.0
    neurite_width_um: float = 1.5
    neurite_electrons: float = 140.0
    soma_electrons: float = 300.0
    texture: Texture = Texture()


@dataclass(frozen=True, slots=True)
class OpticsStyle:
    """How the microscope sees a well; brightness in photoelectrons a pixel.

    Attributes
    ----------
    background_electrons
        Mean background at the center of the field.
    unevenness
        Amplitude of slow changes of the background over the field, relative to its mean.
    vignetting
        Loss of light in the corners, 0..1.
    illumination
        Brightness of the lamp relative to nominal.
    blur_px
        Standard deviation of the point spread function.
    haze
        Share of the light that is scattered far from where it was emitted.
    debris_per_mm2
        Density of bright spots and fragments that are not cells.
    offset_counts, gain_counts, read_noise_counts
        Camera: offset, counts per photoelectron, standard deviation of read noise.
    """

    background_electrons: float = 80.0
    unevenness: float = 0.12
    vignetting: float = 0.15
    illumination: float = 1.0
    blur_px: float = 0.8
    haze: float = 0.08
    debris_per_mm2: float = 120.0
    offset_counts: float = 100.0
    gain_counts: float = 4.0
    read_noise_counts: float = 6.0
