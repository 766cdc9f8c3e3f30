"""OME-Zarr plates as other programs write them: any version, axes, channels and lists of fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import zarr

KINDS = {"t": "time", "c": "channel"}


@dataclass
class Image:
    """One image of a well; ``labels`` None leaves the omero block out."""

    axes: str = "czyx"
    n: Mapping[str, int] = field(default_factory=dict)
    labels: tuple[str, ...] | None = ("DAPI", "GFP")
    scale: float = 0.65
    unit: str | None = "micrometer"
    acquisition: int | None = None
    size: int = 24
    dtype: str = "uint16"
    n_levels: int = 1

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        default = {"t": 1, "c": len(self.labels or "12"), "z": 1, "y": self.size, "x": self.size}
        return tuple({**default, **self.n}[axis] for axis in self.axes)


def pixels(shape: tuple[int, ...], dtype: str, seed: int) -> np.ndarray:
    """Draw pixels that no two planes share."""
    return np.random.default_rng(seed).integers(1, 250, shape).astype(dtype)


def write_plate(
    out: Path,
    wells: Mapping[str, Mapping[str, Image]],
    *,
    version: str = "0.4",
    plate: Mapping[str, Any] | None = None,
) -> dict[tuple[str, str], np.ndarray]:
    """Write a plate; returns the pixels of every image in its own axes.

    Parameters
    ----------
    out
        Where to.
    wells
        Images by name, by path of their well.
    version
        Of OME-Zarr.
    plate
        Entries that replace those of the plate's metadata; None takes one out.
    """
    root = zarr.open_group(out, mode="w", zarr_format=3 if version >= "0.5" else 2)
    rows, columns = (sorted({path.split("/")[i] for path in wells}) for i in (0, 1))
    described = {
        "name": "FOREIGN",
        "version": version,
        "rows": [{"name": row} for row in rows],
        "columns": [{"name": column} for column in columns],
        "wells": [
            {
                "path": path,
                "rowIndex": rows.index(path.split("/")[0]),
                "columnIndex": columns.index(path.split("/")[1]),
            }
            for path in wells
        ],
    } | dict(plate or {})
    _put(root, {"plate": {k: v for k, v in described.items() if v is not None}}, version)
    written = {}
    for path, images in wells.items():
        group = root.require_group(path)
        listed = [
            {"path": name}
            | ({} if image.acquisition is None else {"acquisition": image.acquisition})
            for name, image in images.items()
        ]
        _put(group, {"well": {"version": version, "images": listed}}, version)
        for name, image in images.items():
            data = pixels(image.shape, image.dtype, len(written) + 1)
            _write_image(group.require_group(name), image, data, version)
            written[path, name] = data
    return written


def _write_image(group: Any, image: Image, data: np.ndarray, version: str) -> None:
    for level in range(image.n_levels):
        small = data[..., :: 2**level, :: 2**level]
        group.create_array(
            str(level), data=small, chunks=(*[1] * (data.ndim - 2), *small.shape[-2:])
        )
    multiscale = _multiscale(image, version)
    ome: dict[str, Any] = {"multiscales": [multiscale]}
    if image.labels is not None:
        window = {"start": 0, "end": 250, "min": 0, "max": 255}
        ome["omero"] = {
            "channels": [{"label": x, "color": "00FF00", "window": window} for x in image.labels]
        }
    _put(group, ome, version)


def _multiscale(image: Image, version: str) -> dict[str, Any]:
    units = {"unit": image.unit} if image.unit else {}
    axes = [
        {"name": axis, "type": KINDS.get(axis, "space")} | (units if axis in "zyx" else {})
        for axis in image.axes
    ]
    datasets: list[dict[str, Any]] = []
    for level in range(image.n_levels):
        scale = [image.scale * 2**level if axis in "yx" else 1.0 for axis in image.axes]
        step: dict[str, Any] = {"type": "scale", "scale": scale}
        if version >= "0.6":
            step |= {"input": {"path": str(level)}, "output": {"name": "physical"}}
        datasets.append({"path": str(level), "coordinateTransformations": [step]})
    if version <= "0.3":
        datasets = [{"path": item["path"]} for item in datasets]
    if version <= "0.2":
        return {"version": version, "datasets": datasets}
    if version == "0.3":
        return {"version": version, "axes": list(image.axes), "datasets": datasets}
    if version >= "0.6":
        return {"coordinateSystems": [{"name": "physical", "axes": axes}], "datasets": datasets}
    return {"version": version, "axes": axes, "datasets": datasets}


def _put(group: Any, attributes: dict[str, Any], version: str) -> None:
    group.attrs.update(
        {"ome": {"version": version, **attributes}} if version >= "0.5" else attributes
    )
