"""Small z-stacks and time-lapses on disk with a known number of cells and length of neurites."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile

from hcs.domain.config.stages import IngestConfig
from hcs.stages import ingest

PATTERN = r"(?P<row>[A-Z])(?P<column>\d)_t(?P<t>\d+)_z(?P<z>\d+)_(?P<channel>\w+)\.tif"
SIDE = 64
N_Z, SHARP = 4, 2
"""Planes of a stack, and the one in focus."""

CELLS = {"A1": 1, "A2": 2, "A3": 1, "B1": 3, "B2": 4, "B3": 2}
LENGTHS = (9, 14, 19)
"""Pixels of neurite at each time point."""

SIZES = {
    "sizes": {"soma_diameter_px": 10, "neurite_width_px": 2},
    "assay": {"kind": "neurons", "min_neurite_length_px": 3},
}


def draw(n_cells: int, length: int, seed: int) -> np.ndarray:
    """Draw somas in a grid, each with a straight neurite of so many pixels."""
    image = np.random.default_rng(seed).normal(300, 10, (SIDE, SIDE))
    for number in range(n_cells):
        top, left = 6 + 30 * (number // 2), 4 + 31 * (number % 2)
        image[top : top + 9, left : left + 9] += 2000
        image[top + 4 : top + 6, left + 9 : left + 9 + length] += 600
    return image


def _write(folder: Path, well: str, t: int, z: int, image: np.ndarray, channel: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.clip(image, 1, 65535).astype(np.uint16)
    tifffile.imwrite(folder / f"{well}_t{t}_z{z}_{channel}.tif", pixels)


def _ingest(folder: Path, out: Path, name: str, n_problems: int = 0) -> str:
    layout = {"kind": "regex", "pattern": PATTERN}
    lines = ["well,clone,donor,diagnosis"]
    lines += [
        f"{well},C{number},D{number},{'ALS' if number % 2 else 'control'}"
        for number, well in enumerate(CELLS)
        if list(folder.glob(f"{well}_*"))
    ]
    (folder / "wells.csv").write_text("\n".join(lines) + "\n")
    given = {"source": str(folder), "out": str(out), "plate_name": name, "layout": layout}
    made = ingest.run(IngestConfig.model_validate(given | {"platemap": str(folder / "wells.csv")}))
    assert len(made.problems) == n_problems, made.problems
    return str(out)


def write_stack(folder: Path, name: str = "Z", lost: tuple[str, int] | None = None) -> str:
    """Write wells whose cells are sharp at plane 2 only: elsewhere there is nothing but noise.

    Of one well a plane may be lost.
    """
    for number, (well, n_cells) in enumerate(CELLS.items()):
        sharp = draw(n_cells, 12, number)
        for z in range(N_Z):
            noise = np.random.default_rng(100 + 10 * number + z).normal(300, 3, sharp.shape)
            image = sharp if z == SHARP else noise
            if (well, z) == lost:
                continue
            _write(folder / name, well, 0, z, image, "TUJ1")
    return _ingest(folder / name, folder / f"{name}.zarr", name, n_problems=int(lost is not None))


def write_lapse(folder: Path, name: str = "T") -> str:
    """Write wells whose neurites grow from one time point to the next."""
    for number, (well, n_cells) in enumerate(CELLS.items()):
        for t, length in enumerate(LENGTHS):
            _write(folder / name, well, t, 0, draw(n_cells, length, 10 * number + t), "TUJ1")
    return _ingest(folder / name, folder / f"{name}.zarr", name)


def write_plain(folder: Path, name: str = "P") -> str:
    """Write the plane in focus of :func:`write_stack` alone, as a plate of one plane."""
    for number, (well, n_cells) in enumerate(CELLS.items()):
        _write(folder / name, well, 0, 0, draw(n_cells, 12, number), "TUJ1")
    return _ingest(folder / name, folder / f"{name}.zarr", name)


def write_ragged(folder: Path, name: str = "R") -> str:
    """Write two channels over z and time: TUJ1 has all planes, NUC the last time's first only."""
    for number, (well, n_cells) in enumerate(list(CELLS.items())[:2]):
        for t, length in enumerate(LENGTHS):
            for z in range(2):
                image = draw(n_cells, length, 10 * number + t) if z else np.full((SIDE, SIDE), 300)
                _write(folder / name, well, t, z, image, "TUJ1")
        last = len(LENGTHS) - 1
        _write(folder / name, well, last, 0, draw(n_cells, 0, 50 + number), "NUC")
    return _ingest(folder / name, folder / f"{name}.zarr", name)
