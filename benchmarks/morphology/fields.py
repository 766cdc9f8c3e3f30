"""Fields of neurons with known truth; imports nothing of ``hcs``.

Center lines are cubic splines through a few random control points, outlines of somas are closed
Fourier curves, and lengths and areas are integrals of those curves, so neither the way of drawing
nor the way of computing the truth is shared with the simulator or with what is measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import interpolate, ndimage
from skimage.draw import polygon

Floats = NDArray[np.float64]

PIXEL_SIZE_UM = 0.65
DENSITIES_PER_MM2 = {"sparse": 30.0, "medium": 75.0, "dense": 150.0}
WIDTHS_UM = {"thin": 1.5, "usual": 2.2, "thick": 3.2}
"""Full width at half maximum of a neurite before the optics blur it."""
NOISES = {"low": 18.0, "middle": 36.0, "high": 72.0}
"""Standard deviation of the noise on the background, in counts; a usual neurite is 360 high."""

_NEURITE_COUNTS = 360.0
_SOMA_COUNTS = 2600.0
_BACKGROUND_COUNTS = 240.0
_OPTICS_UM = 0.45
_VISIBLE_SHARE = 0.25
_FINE = 4


@dataclass(frozen=True)
class FieldPlan:
    """What to draw."""

    noise: str = "middle"
    density: str = "medium"
    width: str = "usual"
    seed: int = 0
    size_px: int = 1024
    soma_diameter_um: float = 14.0
    neurites_per_soma: float = 3.0
    neurite_length_um: float = 115.0
    branch_share: float = 0.5
    touching_share: float = 0.12
    bead_sd: float = 0.35
    debris_per_mm2: float = 40.0


@dataclass(frozen=True)
class FieldTruth:
    """What is inside the frame: cells of which a quarter is seen, neurites outside of somas."""

    count: int
    mean_soma_area_um2: float
    length_um: float


@dataclass(frozen=True)
class _Soma:
    center: Floats
    outline: Floats


def plans(n_fields: int, first_seed: int) -> Iterator[FieldPlan]:
    """Fields over all combinations of noise, density and width in turn, a seed each."""
    grid = list(product(NOISES, DENSITIES_PER_MM2, WIDTHS_UM))
    for index in range(n_fields):
        noise, density, width = grid[index % len(grid)]
        yield FieldPlan(noise, density, width, first_seed + index)


def change_plan(plan: FieldPlan, **changes: float) -> FieldPlan:
    """Return the plan with some settings changed."""
    return replace(plan, **changes)  # type: ignore[arg-type]


def draw_field(plan: FieldPlan) -> tuple[NDArray[np.uint16], FieldTruth]:
    """Draw one field as a 16-bit image, with its truth."""
    rng = np.random.default_rng([plan.seed, 20261122])
    size = plan.size_px
    somas = _somas(plan, rng)
    body = np.zeros((size, size))
    areas = []
    for soma in somas:
        cover = _coverage(soma.outline, size)
        if cover is None:
            continue
        window, share = cover
        seen = float(share.sum())
        if seen >= _VISIBLE_SHARE * _polygon_area(soma.outline):
            areas.append(seen)
        body[window] = np.maximum(body[window], share * rng.lognormal(0, 0.25))
    curves = [curve for soma in somas for curve in _tree(plan, soma, rng)]
    lines = np.zeros((size, size))
    length_px = sum(_add_curve(lines, curve, body, plan, rng) for curve in curves)
    sigma = WIDTHS_UM[plan.width] / PIXEL_SIZE_UM / 2.3548
    lines = ndimage.gaussian_filter(lines, sigma, mode="constant") * np.sqrt(2 * np.pi) * sigma
    texture = ndimage.gaussian_filter(rng.standard_normal((size, size)), 2.5)
    texture *= 0.12 / texture.std()
    light = lines * (1 - np.minimum(body, 1)) * _NEURITE_COUNTS
    light += body * (1 + texture) * _SOMA_COUNTS + _debris(plan, rng)
    light = ndimage.gaussian_filter(light, _OPTICS_UM / PIXEL_SIZE_UM / 2.3548 * 2)
    truth = FieldTruth(
        count=len(areas),
        mean_soma_area_um2=float(np.mean(areas)) * PIXEL_SIZE_UM**2 if areas else float("nan"),
        length_um=length_px * PIXEL_SIZE_UM,
    )
    return _photograph_light(light, plan, rng), truth


def _somas(plan: FieldPlan, rng: np.random.Generator) -> list[_Soma]:
    """Somas in the frame and around it, as far away as a neurite may reach."""
    margin = 2.2 * plan.neurite_length_um / PIXEL_SIZE_UM
    edge = plan.size_px + 2 * margin
    n = rng.poisson(DENSITIES_PER_MM2[plan.density] * (edge * PIXEL_SIZE_UM / 1000) ** 2)
    radius = plan.soma_diameter_um / PIXEL_SIZE_UM / 2
    somas: list[_Soma] = []
    for _ in range(n):
        r = radius * rng.lognormal(0, 0.12)
        center = rng.uniform(-margin, plan.size_px + margin, 2)
        if somas and rng.random() < plan.touching_share:
            direction = rng.uniform(0, 2 * np.pi)
            away = np.array([np.sin(direction), np.cos(direction)])
            center = somas[-1].center + away * rng.uniform(1.85, 2.05) * radius
        apart = [np.linalg.norm(center - other.center) for other in somas]
        if apart and min(apart) < 1.7 * radius:
            continue
        somas.append(_Soma(center, _outline(center, r, rng)))
    return somas


def _outline(center: Floats, radius: float, rng: np.random.Generator) -> Floats:
    """Return a closed curve with a few low Fourier modes."""
    angle = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    bulge = 0.13 * rng.uniform(0, 1.4) * np.cos(2 * (angle - rng.uniform(0, np.pi)))
    bulge += 0.04 * rng.standard_normal() * np.cos(3 * angle + rng.uniform(0, 2 * np.pi))
    r = radius * (1 + bulge)
    return center + np.stack([r * np.sin(angle), r * np.cos(angle)], axis=1)


def _polygon_area(outline: Floats) -> float:
    y, x = outline.T
    return 0.5 * abs(float(x @ np.roll(y, 1) - y @ np.roll(x, 1)))


def _coverage(outline: Floats, size: int) -> tuple[tuple[slice, slice], Floats] | None:
    """Share of each pixel that the outline encloses, in the window of the frame it reaches."""
    low = np.maximum(np.floor(outline.min(axis=0)).astype(int) - 1, 0)
    high = np.minimum(np.ceil(outline.max(axis=0)).astype(int) + 2, size)
    if (high <= low).any():
        return None
    shape = tuple((high - low) * _FINE)
    fine = (outline - low + 0.5) * _FINE - 0.5
    inside = np.zeros(shape)
    inside[polygon(fine[:, 0], fine[:, 1], shape)] = 1
    n_y, n_x = high - low
    share = inside.reshape(n_y, _FINE, n_x, _FINE).mean(axis=(1, 3))
    if not share.any():
        return None
    return (slice(low[0], high[0]), slice(low[1], high[1])), share


def _tree(plan: FieldPlan, soma: _Soma, rng: np.random.Generator) -> Iterator[Floats]:
    """Center lines of one cell's neurites and their branches, points about 0.25 px apart."""
    mean_px = plan.neurite_length_um / PIXEL_SIZE_UM
    n = min(1 + rng.poisson(plan.neurites_per_soma - 1), 6)
    starts = (rng.uniform() + np.arange(n) / n) % 1
    for rank, start in enumerate(starts):
        at = soma.outline[int(start * len(soma.outline))]
        heading = np.arctan2(*(at - soma.center))
        length = mean_px * (1.7 if rank == 0 else 0.8) * rng.uniform(0.4, 1.6)
        curve = _curve(at, heading, length, rng)
        yield curve
        for _ in range(rng.poisson(plan.branch_share)):
            place = int(rng.uniform(0.2, 0.85) * (len(curve) - 2))
            along = np.arctan2(*(curve[place + 1] - curve[place]))
            turn = rng.uniform(0.55, 1.2) * rng.choice([-1, 1])
            yield _curve(curve[place], along + turn, mean_px * rng.uniform(0.2, 0.9), rng)


def _curve(start: Floats, heading: float, length: float, rng: np.random.Generator) -> Floats:
    """Return a cubic spline through control points 16 µm apart, cut at the given arc length."""
    step = 16.0 / PIXEL_SIZE_UM
    n = int(np.ceil(length / step)) + 2
    turns = rng.normal(0, 0.28, n)
    turns[0] = 0
    directions = heading + np.cumsum(turns)
    steps = step * np.stack([np.sin(directions), np.cos(directions)], axis=1)
    knots = np.concatenate([start[None], start + np.cumsum(steps, axis=0)])
    spline = interpolate.CubicSpline(np.arange(n + 1), knots)
    points = spline(np.arange(0, n, 0.2 / step))
    arc = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    return points[arc <= length]


def _add_curve(
    lines: Floats, curve: Floats, body: Floats, plan: FieldPlan, rng: np.random.Generator
) -> float:
    """Paint a curve as a line of light; return its length in the frame and outside of somas."""
    if len(curve) < 2:
        return 0.0
    middle = (curve[1:] + curve[:-1]) / 2
    steps = np.linalg.norm(np.diff(curve, axis=0), axis=1)
    n_beads = max(int(steps.sum() / 9), 4)
    beads = np.exp(rng.normal(0, plan.bead_sd, n_beads))
    place = np.linspace(0, 1, len(middle))
    light = interpolate.pchip_interpolate(np.linspace(0, 1, n_beads), beads, place)
    light *= rng.lognormal(0, 0.25) * steps
    size = lines.shape[0]
    seen = ((middle >= -0.5) & (middle < size - 0.5)).all(axis=1)
    middle, steps, light = middle[seen], steps[seen], light[seen]
    corner = np.clip(np.floor(middle).astype(int), 0, size - 2)
    share = np.clip(middle - corner, 0, 1)
    for dy, dx in product((0, 1), (0, 1)):
        weight = np.abs(1 - dy - share[:, 0]) * np.abs(1 - dx - share[:, 1])
        np.add.at(lines, (corner[:, 0] + dy, corner[:, 1] + dx), light * weight)
    nearest = np.rint(middle).astype(int).clip(0, size - 1)
    return float(steps[body[nearest[:, 0], nearest[:, 1]] < 0.25].sum())


def _debris(plan: FieldPlan, rng: np.random.Generator) -> Floats:
    """Bright specks, much smaller than a soma."""
    size = plan.size_px
    light = np.zeros((size, size))
    n = rng.poisson(plan.debris_per_mm2 * (size * PIXEL_SIZE_UM / 1000) ** 2)
    for _ in range(n):
        radius = plan.soma_diameter_um / PIXEL_SIZE_UM * rng.uniform(0.06, 0.16)
        cover = _coverage(_outline(rng.uniform(0, size, 2), radius, rng), size)
        if cover is not None:
            light[cover[0]] += cover[1] * _SOMA_COUNTS * rng.uniform(0.6, 2.0)
    return light


def _photograph_light(
    light: Floats, plan: FieldPlan, rng: np.random.Generator
) -> NDArray[np.uint16]:
    """Uneven light, shot noise and read noise, as 16-bit counts."""
    size = plan.size_px
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    cy, cx = rng.uniform(-0.4, 0.4, 2)
    falloff = 1 - 0.12 * ((y - cy) ** 2 + (x - cx) ** 2)
    clean = (light + _BACKGROUND_COUNTS) * falloff
    noise = NOISES[plan.noise]
    # Half of the noise on the background is shot noise, the other half the camera's.
    gain = _BACKGROUND_COUNTS / (noise**2 / 2)
    counts = rng.poisson(np.maximum(clean, 0) * gain) / gain
    counts += rng.normal(0, noise / np.sqrt(2), counts.shape) + 100
    return np.clip(np.rint(counts), 0, 65535).astype(np.uint16)
