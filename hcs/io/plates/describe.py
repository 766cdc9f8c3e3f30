"""Says what a plate holds, as plain values."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hcs.domain import columns as col
from hcs.domain.ome.plates import ListedField
from hcs.io.files.paths import AnyPath, as_path
from hcs.io.ngff.foreign import ForeignPlate, Image
from hcs.io.plates.contents import describe_channels
from hcs.io.plates.reader import PlateReader


def describe(path: AnyPath) -> dict[str, Any]:
    """Say what a plate holds, as plain values.

    Raises
    ------
    NotFoundError
        When there is no Zarr store.
    """
    reader = PlateReader(str(path))
    if reader.is_foreign and reader.image_table is None:
        several = _describe_several(ForeignPlate(str(path)))
        if several is not None:
            return several
    images = reader.images
    array: Any = reader.level(reader.first_field, 0)
    found: dict[str, Any] = {
        "plate": reader.name,
        "format": f"{reader.plate_format.n_wells} wells",
        "wells with images": int(images[col.WELL].nunique()),
        "fields": len(images),
        "channels": list(reader.channels),
        "field": f"{' × '.join(map(str, array.shape))} {array.dtype} ({', '.join(reader.axes)})",
        "pixel size": f"{reader.pixel_size_um:g} µm" if reader.pixel_size_um else "unknown",
        "labels": list(reader.label_names(reader.first_field)),
    }
    found |= describe_channels(reader)
    for column in (col.DIAGNOSIS, col.PERT_TYPE, col.BATCH, col.COMPOUND):
        counts = images.drop_duplicates(col.WELL)[column].value_counts()
        if not counts.empty:
            found[f"wells by {column}"] = {str(key): int(value) for key, value in counts.items()}
    for column in (col.CLONE, col.DONOR):
        if images[column].notna().any():
            found[f"number of {column}"] = int(images[column].nunique())
    return found


def _describe_several(plate: ForeignPlate) -> dict[str, Any] | None:
    """Describe a plate whose images differ, by acquisition and kind; None for one that is even."""
    wells, _ = plate.list_wells()
    fields = [ListedField(w.well, 0, (image,)) for w, _, images in wells for image in images]
    found, flaws = plate.describe_all(fields)
    kinds = Counter(
        (field.images[0].acquisition, _say_kind(found[field.images[0].path]))
        for field in fields
        if field.images[0].path in found
    )
    if len(kinds) <= 1:
        return None
    told: dict[str, Any] = {
        "plate": plate.metadata.name or as_path(plate.path).name,
        "format": f"{plate.metadata.plate_format.n_wells} wells",
        "wells with images": len({field.well for field in fields}),
        "images": len(found),
    }
    for number, ((acquisition, kind), count) in enumerate(kinds.items(), start=1):
        of = "" if acquisition is None else f" of acquisition {acquisition}"
        told[f"kind {number}"] = f"{count} images{of}: {kind}"
    if flaws:
        told["images and wells with faults"] = f"{len(flaws)}; hcs validate names them"
    return told


def _say_kind(image: Image) -> str:
    size = image.metadata.pixel_size_um
    lengths = " × ".join(map(str, image.sizes.values()))
    axes = ", ".join(image.sizes)
    return (
        f"channels {', '.join(image.channels)}; {lengths} {image.dtype} ({axes}); pixel size "
        f"{'unknown' if size is None else f'{size:g} µm'}"
    )
