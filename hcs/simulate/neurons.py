"""Geometry of one field of neurons with its exact truth; shares no code with what measures it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hcs.simulate.styles import NeuronStyle

Floats = NDArray[np.float64]

STEP_PX: Final = 0.5
"""Distance of two samples along a neurite."""

_SMOOTH_UM: Final = 6.0  # neurites bend, they do not kink
_BRANCH_LENGTH: Final = 0.6  # mean length of a branch relative to its parent
_REACH: Final = 1.6  # somas outside the frame matter up to this many neurite lengths away
_PLACING_TRIES: Final = 40
_SIGHT_PX: Final = 16.0  # blur carries light this far into the frame at most


@dataclass(frozen=True, slots=True)
class Somas:
    """Elliptical cell bodies; arrays of shape (n,), lengths in pixels, angles in radians.

    ``semi_y`` and ``semi_x`` are the half axes before the rotation by ``angle``.
    """

    y: Floats
    x: Floats
    semi_y: Floats
    semi_x: Floats
    angle: Floats

    @property
    def area_px2(self) -> Floats:
        """Area of each whole ellipse, shape (n,)."""
        return np.pi * self.semi_y * self.semi_x

    @property
    def radius_px(self) -> Floats:
        """Geometric mean radius, shape (n,)."""
        result: Floats = np.sqrt(self.semi_y * self.semi_x)
        return result

    def depth_px(self, index: int, y: Floats, x: Floats) -> Floats:
        """Distance of points to the border of one soma, positive inside (first order)."""
        dy, dx = y - self.y[index], x - self.x[index]
        cosine, sine = np.cos(self.angle[index]), np.sin(self.angle[index])
        v = (cosine * dy + sine * dx) / self.semi_y[index]
        u = (cosine * dx - sine * dy) / self.semi_x[index]
        q = np.sqrt(v * v + u * u)
        gradient = np.sqrt((v / self.semi_y[index]) ** 2 + (u / self.semi_x[index]) ** 2)
        scale = np.where(
            gradient > 0, q / np.where(gradient > 0, gradient, 1.0), self.radius_px[index]
        )
        result: Floats = (1.0 - q) * scale
        return result


@dataclass(frozen=True, slots=True)
class Paths:
    """Center lines of neurites, sampled every half pixel.

    Attributes
    ----------
    y, x
        Sample positions in pixels, shape (n, m); pixel centers are whole numbers.
    heading
        Direction at each sample in radians, 0 along x, shape (n, m).
    n_samples
        How many samples of each row belong to the neurite, shape (n,).
    order
        1 for neurites that leave a soma, 2 for branches, shape (n,).
    """

    y: Floats
    x: Floats
    heading: Floats
    n_samples: NDArray[np.intp]
    order: NDArray[np.intp]

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Which samples exist, shape (n, m)."""
        return np.arange(self.y.shape[1])[None, :] < self.n_samples[:, None]


@dataclass(frozen=True, slots=True)
class FieldTruth:
    """What a perfect measurement of one field would find; lengths in pixels.

    Attributes
    ----------
    n_cells
        Somas whose center lies inside the frame.
    total_neurite_length_px
        Arc length of all center lines inside the frame and outside every soma.
    soma_area_px2
        Area inside the frame of each of these somas, shape (n_cells,).
    touches_border
        Which of them the frame cuts, shape (n_cells,).
    soma_y_px, soma_x_px
        Their centers, shape (n_cells,).
    """

    n_cells: int
    total_neurite_length_px: float
    soma_area_px2: Floats
    touches_border: NDArray[np.bool_]
    soma_y_px: Floats
    soma_x_px: Floats

    @property
    def mean_soma_area_px2(self) -> float | None:
        """Mean area, None when there is no cell."""
        return float(self.soma_area_px2.mean()) if self.n_cells else None


def draw_somas(
    rng: np.random.Generator, style: NeuronStyle, image_px: int, pixel_size_um: float
) -> Somas:
    """Place cell bodies in and around the frame.

    Somas keep clear of each other, except the style's share that is put beside another one. A
    soma whose center lies outside the frame never reaches into it, so that the number of cells
    has one meaning only.

    Parameters
    ----------
    rng
        Generator of this field.
    style
        Density, size and share of touching cells.
    image_px
        Edge of the square frame.
    pixel_size_um
        Pixel size.

    Returns
    -------
    Somas
        In the order drawn; none when the density is 0.
    """
    margin = _REACH * style.neurite_length_um / pixel_size_um
    edge = image_px + 2 * margin
    expected = style.neurons_per_mm2 * (edge * pixel_size_um / 1000) ** 2
    n = int(np.floor(expected + rng.random()))
    radius = style.soma_radius_um / pixel_size_um
    mean_radius = radius * np.exp(
        style.soma_radius_cv * np.clip(rng.standard_normal(n), -2.5, 2.5)
        - style.soma_radius_cv**2 / 2
    )
    elongation = np.sqrt(rng.uniform(1.0, 1.7, n))
    touching = rng.random(n) < style.touching_fraction
    angle = rng.uniform(0, np.pi, n)
    candidates = rng.uniform(-margin, image_px + margin, (n, _PLACING_TRIES, 2))
    turns = rng.uniform(0, 2 * np.pi, (n, _PLACING_TRIES))
    kept: list[int] = []
    places = np.empty((n, 2))
    for index in range(n):
        spots = candidates[index]
        if touching[index] and kept:
            host = kept[-1]
            reach = 0.97 * (mean_radius[host] + mean_radius[index])
            away = np.stack([np.sin(turns[index]), np.cos(turns[index])], axis=-1)
            spots = places[host] + reach * away
        apart = 0.95 if touching[index] else 1.35
        near = (places[kept], apart * (mean_radius[kept] + mean_radius[index]))
        place = _first_free(spots, 1.31 * mean_radius[index], near, image_px)
        if place is not None:
            places[index] = place
            kept.append(index)
    return Somas(
        y=places[kept, 0],
        x=places[kept, 1],
        semi_y=(mean_radius / elongation)[kept],
        semi_x=(mean_radius * elongation)[kept],
        angle=angle[kept],
    )


def _first_free(
    spots: Floats, reach: float, others: tuple[Floats, Floats], image_px: int
) -> Floats | None:
    """First of the spots (k, 2) that keeps clear of the somas placed so far and of the edge."""
    inside = np.all((spots >= -0.5) & (spots < image_px - 0.5), axis=1)
    reaches_in = np.all((spots > -0.5 - reach) & (spots < image_px - 0.5 + reach), axis=1)
    places, clearance = others
    distance = np.linalg.norm(spots[:, None, :] - places[None, :, :], axis=-1)
    good = (inside | ~reaches_in) & np.all(distance > clearance[None, :], axis=1)
    found = np.flatnonzero(good)
    return spots[found[0]] if found.size else None


def draw_neurites(
    rng: np.random.Generator,
    somas: Somas,
    style: NeuronStyle,
    image_px: int,
    pixel_size_um: float,
) -> Paths:
    """Let neurites grow from the borders of somas as smooth random walks, some with branches.

    Parameters
    ----------
    rng
        Generator of this field.
    somas
        Where they start.
    style
        Number, length, persistence and branching.
    image_px
        Edge of the square frame; neurites that cannot reach it are left out.
    pixel_size_um
        Pixel size.

    Returns
    -------
    Paths
        Neurites first, branches after them; no rows when there are no somas.
    """
    per_soma = 1 + rng.poisson(max(style.neurites_per_soma - 1, 0.0), somas.y.size)
    per_soma = np.minimum(per_soma, 7)
    owner = np.repeat(np.arange(somas.y.size), per_soma)
    rank = np.arange(owner.size) - np.repeat(np.cumsum(per_soma) - per_soma, per_soma)
    first = rng.uniform(0, 2 * np.pi, somas.y.size)
    spread = rng.normal(0, 0.25, owner.size)
    theta = first[owner] + 2 * np.pi * rank / per_soma[owner] + spread
    longest = np.where(rank == 0, 1.8, 0.75)  # one axon, several dendrites
    mean_px = style.neurite_length_um / pixel_size_um
    lengths = mean_px * longest * rng.gamma(6.0, 1 / 6.0, owner.size)
    start_y, start_x, heading = _on_border(somas, owner, theta)
    heading = heading + rng.normal(0, 0.2, owner.size)
    gap_y, gap_x = (np.maximum(np.maximum(-at, at - image_px), 0.0) for at in (start_y, start_x))
    near = np.flatnonzero(np.hypot(gap_y, gap_x) < lengths + mean_px)  # a branch goes on further
    start_y, start_x, heading, lengths = (a[near] for a in (start_y, start_x, heading, lengths))
    trunk = _walk(rng, (start_y, start_x, heading), lengths, style, pixel_size_um)
    n_branches = rng.poisson(style.branches_per_neurite, near.size)
    parent = np.repeat(np.arange(near.size), n_branches)
    where = (rng.uniform(0.25, 0.8, parent.size) * trunk.n_samples[parent]).astype(np.intp)
    turn = rng.uniform(0.5, 1.1, parent.size) * rng.choice([-1.0, 1.0], parent.size)
    lengths = _BRANCH_LENGTH * mean_px * rng.gamma(6.0, 1 / 6.0, parent.size)
    begin = (trunk.y[parent, where], trunk.x[parent, where], trunk.heading[parent, where] + turn)
    paths = _join_paths(trunk, _walk(rng, begin, lengths, style, pixel_size_um))
    return _crossing(paths, image_px)


def _on_border(
    somas: Somas, owner: NDArray[np.intp], theta: Floats
) -> tuple[Floats, Floats, Floats]:
    """Points on the borders of somas and the outward direction there."""
    cosine, sine = np.cos(somas.angle[owner]), np.sin(somas.angle[owner])
    v = somas.semi_y[owner] * np.sin(theta)
    u = somas.semi_x[owner] * np.cos(theta)
    y = somas.y[owner] + cosine * v - sine * u
    x = somas.x[owner] + sine * v + cosine * u
    normal_v, normal_u = v / somas.semi_y[owner] ** 2, u / somas.semi_x[owner] ** 2
    heading = np.arctan2(cosine * normal_v - sine * normal_u, sine * normal_v + cosine * normal_u)
    return y, x, heading


def _walk(
    rng: np.random.Generator,
    begin: tuple[Floats, Floats, Floats],
    lengths_px: Floats,
    style: NeuronStyle,
    pixel_size_um: float,
) -> Paths:
    """Walk from (y, x, heading) with steps of equal length and a slowly turning direction."""
    start_y, start_x, heading = begin
    n_samples = np.maximum(np.rint(lengths_px / STEP_PX).astype(np.intp), 1) + 1
    shape = (n_samples.size, int(n_samples.max(initial=2)))
    persistence = style.persistence_um / pixel_size_um
    turns = rng.standard_normal(shape, dtype=np.float32) * np.sqrt(2 * STEP_PX / persistence)
    smooth = _SMOOTH_UM / pixel_size_um / STEP_PX
    turns = ndimage.gaussian_filter1d(turns, smooth, axis=1, truncate=3.0)
    direction = heading[:, None] + np.cumsum(turns, axis=1, dtype=np.float64)
    y, x = np.empty(shape), np.empty(shape)
    y[:, 0], x[:, 0] = start_y, start_x
    y[:, 1:] = start_y[:, None] + STEP_PX * np.cumsum(np.sin(direction[:, :-1]), axis=1)
    x[:, 1:] = start_x[:, None] + STEP_PX * np.cumsum(np.cos(direction[:, :-1]), axis=1)
    return Paths(y, x, direction, n_samples, np.ones(n_samples.size, dtype=np.intp))


def _join_paths(trunk: Paths, branches: Paths) -> Paths:
    """Both sets of paths in one; rows are padded to the longer of the two."""
    width = max(trunk.y.shape[1], branches.y.shape[1])

    def stack_paths(a: Floats, b: Floats) -> Floats:
        return np.concatenate(
            [np.pad(part, ((0, 0), (0, width - part.shape[1])), mode="edge") for part in (a, b)]
        )

    return Paths(
        y=stack_paths(trunk.y, branches.y),
        x=stack_paths(trunk.x, branches.x),
        heading=stack_paths(trunk.heading, branches.heading),
        n_samples=np.concatenate([trunk.n_samples, branches.n_samples]),
        order=np.concatenate([trunk.order, branches.order + 1]),
    )


def _crossing(paths: Paths, image_px: int) -> Paths:
    """Only the paths that come within sight of the frame."""
    low, high = -_SIGHT_PX, image_px + _SIGHT_PX
    seen = (paths.y > low) & (paths.y < high) & (paths.x > low) & (paths.x < high) & paths.valid
    rows = np.flatnonzero(seen.any(axis=1))
    width = int(paths.n_samples[rows].max(initial=2))
    return Paths(
        y=paths.y[rows, :width],
        x=paths.x[rows, :width],
        heading=paths.heading[rows, :width],
        n_samples=paths.n_samples[rows],
        order=paths.order[rows],
    )


def measure_truth(somas: Somas, paths: Paths, image_px: int) -> FieldTruth:
    """Compute what is in the frame: pixel centers 0 … image_px - 1, so edges at ± half a pixel.

    Parameters
    ----------
    somas, paths
        The drawn field.
    image_px
        Edge of the square frame.

    Returns
    -------
    FieldTruth
        All zero and empty for an empty field.
    """
    last = image_px - 0.5
    seen = np.flatnonzero(
        (somas.y >= -0.5) & (somas.y < last) & (somas.x >= -0.5) & (somas.x < last)
    )
    areas = np.array(
        [_area_inside(somas, int(index), image_px) for index in seen], dtype=np.float64
    )
    whole = somas.area_px2[seen]
    cut = areas < whole
    return FieldTruth(
        n_cells=int(seen.size),
        total_neurite_length_px=_visible_length(somas, paths, image_px),
        soma_area_px2=areas,
        touches_border=cut,
        soma_y_px=somas.y[seen],
        soma_x_px=somas.x[seen],
    )


def _area_inside(somas: Somas, index: int, image_px: int) -> float:
    """Area of one ellipse within the frame; exact when it lies wholly inside."""
    cosine, sine = np.cos(somas.angle[index]), np.sin(somas.angle[index])
    a, b = somas.semi_y[index], somas.semi_x[index]
    half_y, half_x = np.hypot(cosine * a, sine * b), np.hypot(sine * a, cosine * b)
    low_y, high_y = somas.y[index] - half_y, somas.y[index] + half_y
    low_x, high_x = somas.x[index] - half_x, somas.x[index] + half_x
    last = image_px - 0.5
    if low_y >= -0.5 and low_x >= -0.5 and high_y <= last and high_x <= last:
        return float(somas.area_px2[index])
    fine = 0.1  # px; the error of the clipped area stays under one percent
    y = np.arange(max(low_y, -0.5) + fine / 2, min(high_y, last), fine)
    x = np.arange(max(low_x, -0.5) + fine / 2, min(high_x, last), fine)
    inside = somas.depth_px(index, y[:, None], x[None, :]) > 0
    return float(np.count_nonzero(inside)) * fine**2


def _visible_length(somas: Somas, paths: Paths, image_px: int) -> float:
    """Arc length inside the frame and outside every soma, cut exactly where it crosses a border."""
    if paths.y.size == 0:
        return 0.0
    last = image_px - 0.5
    depth = np.minimum.reduce([paths.y + 0.5, last - paths.y, paths.x + 0.5, last - paths.x])
    for index in range(somas.y.size):
        near = 2.0 * somas.radius_px[index]
        rows, columns = np.nonzero(
            (np.abs(paths.y - somas.y[index]) < near) & (np.abs(paths.x - somas.x[index]) < near)
        )
        outside = -somas.depth_px(index, paths.y[rows, columns], paths.x[rows, columns])
        depth[rows, columns] = np.minimum(depth[rows, columns], outside)
    before, after = depth[:, :-1], depth[:, 1:]
    positive = np.maximum(before, 0) + np.maximum(after, 0)
    total = np.abs(before) + np.abs(after)
    share = np.where(total > 0, positive / np.where(total > 0, total, 1.0), 0.0)
    exists = paths.valid[:, 1:]
    segment = np.hypot(np.diff(paths.y, axis=1), np.diff(paths.x, axis=1))
    return float(np.sum(share * segment * exists))
