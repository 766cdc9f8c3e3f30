"""Neurons drawn from curves of known length; shares nothing with what measures them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

STEP_PX = 0.25


@dataclass(frozen=True)
class Drawing:
    """What to draw; lengths in pixels, brightness in counts above background."""

    shape: tuple[int, int] = (512, 512)
    n_neurons: int = 6
    soma_diameter_px: float = 22.0
    neurite_width_px: float = 3.0
    neurites_per_soma: tuple[int, int] = (2, 4)
    neurite_length_px: tuple[float, float] = (60.0, 220.0)
    neurite_counts: float = 400.0
    soma_counts: float = 2500.0
    bead_depth: float = 0.4
    bead_period_px: float = 14.0
    bend_per_px: float = 0.012
    background_counts: float = 300.0
    shading: float = 0.3
    n_debris: int = 5
    read_noise_counts: float = 15.0
    gain: float = 0.5
    blur_px: float = 1.0
    touching_pairs: int = 0


@dataclass
class Truth:
    """What was drawn: everything inside the frame, neurites only outside of somas."""

    count: int = 0
    areas_px2: list[float] = field(default_factory=list)
    areas_in_frame_px2: list[float] = field(default_factory=list)
    length_px: float = 0.0
    lengths_of_somas_px: list[float] = field(default_factory=list)
    centers: list[tuple[float, float]] = field(default_factory=list)
    paths: list[np.ndarray] = field(default_factory=list)


def draw(drawing: Drawing, seed: int) -> tuple[np.ndarray, Truth]:
    """Draw one field as uint16, with its truth."""
    rng = np.random.default_rng(seed)
    truth = Truth()
    somas = _place_somas(drawing, rng)
    cover = np.zeros(drawing.shape)
    bodies = np.zeros(drawing.shape)
    for y, x, a, b, angle in somas:
        mask = _ellipse(drawing.shape, y, x, a, b, angle)
        cover = np.maximum(cover, mask)
        bodies = np.maximum(bodies, mask * rng.uniform(0.7, 1.4))
        truth.centers.append((y, x))
        truth.areas_px2.append(np.pi * a * b)
        truth.areas_in_frame_px2.append(float(mask.sum()))
    truth.count = len(somas)
    lines = np.zeros(drawing.shape)
    for y, x, a, b, angle in somas:
        own = 0.0
        for start_angle in _directions(drawing, rng):
            length = rng.uniform(*drawing.neurite_length_px)
            path = _walk(drawing, rng, (y, x), _edge(a, b, angle, start_angle), length)
            own += _add_line(lines, cover, path, drawing, rng)
            truth.paths.append(path)
        truth.lengths_of_somas_px.append(own)
        truth.length_px += own
    sigma = drawing.neurite_width_px / 2.3548
    lines = ndimage.gaussian_filter(lines, sigma) * np.sqrt(2 * np.pi) * sigma
    light = lines * drawing.neurite_counts * (1 - cover) + bodies * drawing.soma_counts
    light += _debris(drawing, rng)
    light = ndimage.gaussian_filter(light, drawing.blur_px)
    yy, xx = np.mgrid[0 : 1 : drawing.shape[0] * 1j, 0 : 1 : drawing.shape[1] * 1j]
    tilt = rng.uniform(-1, 1, 2)
    shading = 1 + drawing.shading * (tilt[0] * (yy - 0.5) + tilt[1] * (xx - 0.5))
    clean = (drawing.background_counts + light) * shading
    electrons = rng.poisson(np.maximum(clean, 0) * drawing.gain) / drawing.gain
    noisy = electrons + rng.normal(0, drawing.read_noise_counts, drawing.shape)
    return np.clip(np.rint(noisy), 0, 65535).astype(np.uint16), truth


def _place_somas(drawing, rng):
    placed = []
    height, width = drawing.shape
    radius = drawing.soma_diameter_px / 2
    tries = 0
    while len(placed) < drawing.n_neurons and tries < 20000:
        tries += 1
        y, x = rng.uniform(radius, height - radius), rng.uniform(radius, width - radius)
        a = radius * rng.uniform(0.85, 1.2)
        b = a * rng.uniform(0.75, 1.0)
        gap = [np.hypot(y - p[0], x - p[1]) for p in placed]
        if all(g > 3.0 * radius for g in gap):
            placed.append((y, x, a, b, rng.uniform(0, np.pi)))
    for y, x, *_ in list(placed[: drawing.touching_pairs]):
        direction = rng.uniform(0, 2 * np.pi)
        dy, dx = 1.9 * radius * np.sin(direction), 1.9 * radius * np.cos(direction)
        placed.append((y + dy, x + dx, radius, radius * 0.95, rng.uniform(0, np.pi)))
    return placed


def _ellipse(shape, y, x, a, b, angle):
    """Area of every pixel inside the ellipse, by 4 × 4 supersampling."""
    mask = np.zeros(shape)
    reach = int(np.ceil(max(a, b))) + 2
    y0, x0 = int(y) - reach, int(x) - reach
    fine = (np.arange(0, (2 * reach + 1) * 4) + 0.5) / 4 - 0.5
    yy, xx = fine[:, None] + y0 - y, fine[None, :] + x0 - x
    u = xx * np.cos(angle) + yy * np.sin(angle)
    v = -xx * np.sin(angle) + yy * np.cos(angle)
    n = 2 * reach + 1
    patch = ((u / a) ** 2 + (v / b) ** 2 <= 1).reshape(n, 4, n, 4).mean(axis=(1, 3))
    ys, xs = np.arange(y0, y0 + n), np.arange(x0, x0 + n)
    ky, kx = (ys >= 0) & (ys < shape[0]), (xs >= 0) & (xs < shape[1])
    mask[np.ix_(ys[ky], xs[kx])] = patch[np.ix_(ky, kx)]
    return mask


def _directions(drawing, rng):
    n = rng.integers(drawing.neurites_per_soma[0], drawing.neurites_per_soma[1] + 1)
    first = rng.uniform(0, 2 * np.pi)
    return first + np.arange(n) * 2 * np.pi / max(n, 1) + rng.normal(0, 0.15, n)


def _edge(a, b, angle, direction):
    """Vector from the center of an ellipse to its edge, and the direction."""
    theta = direction - angle
    r = a * b / np.hypot(b * np.cos(theta), a * np.sin(theta))
    return r * np.sin(direction), r * np.cos(direction), direction


def _walk(drawing, rng, center, edge, length):
    n = int(length / STEP_PX)
    dy, dx, direction = edge
    bends = ndimage.gaussian_filter1d(rng.normal(0, 1, n + 200), 80)[100 : 100 + n]
    bends = bends / (np.std(bends) + 1e-9) * drawing.bend_per_px
    heading = direction + np.cumsum(bends) * STEP_PX
    y = center[0] + dy + np.cumsum(np.sin(heading)) * STEP_PX
    x = center[1] + dx + np.cumsum(np.cos(heading)) * STEP_PX
    return np.stack([y, x], axis=1)


def _add_line(lines, cover, path, drawing, rng):
    """Add a path to the plane; its length inside the frame and outside of somas."""
    arc = np.arange(len(path)) * STEP_PX
    phase = rng.uniform(0, 2 * np.pi)
    period = drawing.bead_period_px * rng.uniform(0.7, 1.4)
    beads = 1 + drawing.bead_depth * np.sin(2 * np.pi * arc / period + phase)
    amplitude = rng.uniform(0.7, 1.3) * beads * STEP_PX
    height, width = lines.shape
    y, x = path.T
    inside = (y >= 0) & (x >= 0) & (y <= height - 1) & (x <= width - 1)
    y, x, amplitude = y[inside], x[inside], amplitude[inside]
    y0 = np.minimum(y.astype(int), height - 2)
    x0 = np.minimum(x.astype(int), width - 2)
    fy, fx = y - y0, x - x0
    for oy, wy in ((0, 1 - fy), (1, fy)):
        for ox, wx in ((0, 1 - fx), (1, fx)):
            np.add.at(lines, (y0 + oy, x0 + ox), amplitude * wy * wx)
    free = cover[np.rint(y).astype(int), np.rint(x).astype(int)] < 0.5
    return float(free.sum()) * STEP_PX


def _debris(drawing, rng):
    light = np.zeros(drawing.shape)
    for _ in range(drawing.n_debris):
        y, x = rng.uniform(5, drawing.shape[0] - 5), rng.uniform(5, drawing.shape[1] - 5)
        r = drawing.soma_diameter_px * rng.uniform(0.05, 0.15)
        mask = _ellipse(drawing.shape, y, x, r, r * rng.uniform(0.6, 1), rng.uniform(0, np.pi))
        light = np.maximum(light, mask * drawing.soma_counts * rng.uniform(1, 2.5))
    return light
