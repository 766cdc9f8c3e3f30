"""Refuses what only some uses of a plate forbid: images that do not cover each other or differ."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from hcs.domain.ome.images import is_same_size
from hcs.domain.ome.plates import ListedField, ListedImage
from hcs.domain.wells import Well
from hcs.errors import InputError
from hcs.io.ngff import acquisitions
from hcs.io.ngff.foreign import ForeignPlate, Image, Listing


def refuse_unequal(plate: ForeignPlate, listing: Listing, images: Mapping[str, Image]) -> None:
    """Refuse acquisitions whose images of one place do not cover each other.

    Raises
    ------
    InputError
        Naming the field, and the option that reads one acquisition.
    """
    for field in listing.fields:
        found = [images[image.path] for image in field.images if image.path in images]
        for other in found[1:]:
            first = found[0]
            same = is_same_size(first.metadata.pixel_size_um, other.metadata.pixel_size_um)
            if first.frame != other.frame or not same:
                msg = (
                    f"{plate.path}: {first.path} has {_say_frame(first)}, {other.path} of another "
                    f"acquisition {_say_frame(other)}, so they do not cover each other; "
                    f"{acquisitions.advise(listing.acquisitions)}"
                )
                raise InputError(msg)


def _say_frame(image: Image) -> str:
    size = image.metadata.pixel_size_um
    height, width = image.frame
    return f"{height} × {width} pixels of {'unknown size' if size is None else f'{size:g} µm'}"


def refuse_uneven(plate: ForeignPlate, listed: pd.DataFrame) -> None:
    """Refuse to use a plate where it lies when its fields differ in what all of them share.

    Stages know a channel by its place and a pixel by the plate's size. ``listed`` has well, site
    and path of every field.

    Raises
    ------
    InputError
        Naming two fields that differ.
    """
    fields = [
        ListedField(Well.parse(well), int(site), (ListedImage(str(path), str(path), None),))
        for well, site, path in listed.itertuples(index=False, name=None)
    ]
    images, _ = plate.describe_all(fields)
    for image in images.values():
        first = next(iter(images.values()))
        if image.channels != first.channels:
            what = (f"channels {list(image.channels)}", str(list(first.channels)))
        elif not is_same_size(image.metadata.pixel_size_um, first.metadata.pixel_size_um):
            what = (_say_frame(image), _say_frame(first))
        elif image.depth != first.depth:
            what = (_say_depth(image), _say_depth(first))
        else:
            continue
        msg = (
            f"{plate.path}: field {image.path} has {what[0]}, field {first.path} {what[1]}; "
            f"such a plate is not used where it lies: hcs ingest {plate.path} NEW.zarr reads it "
            "field by field"
        )
        raise InputError(msg)


def list_in_place(plate: ForeignPlate) -> list[tuple[Well, int, str]]:
    """List well, site and path of the fields of a plate that is used where it lies.

    Raises
    ------
    InputError
        When a place has images of several acquisitions.
    """
    listing = plate.list_fields()
    if len(listing.acquisitions) > 1:
        msg = (
            f"{plate.path} has images of acquisitions {', '.join(map(str, listing.acquisitions))}; "
            f"such a plate is not used where it lies: hcs ingest {plate.path} NEW.zarr makes them "
            f"channels of the same fields, or {acquisitions.advise(listing.acquisitions)}"
        )
        raise InputError(msg)
    return [(field.well, field.site, field.images[0].path) for field in listing.fields]


def _say_depth(image: Image) -> str:
    return f"{image.depth[0]} time points of {image.depth[1]} planes"
