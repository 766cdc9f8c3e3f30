"""Keeps the acquisitions of a plate apart: which images are one place, taken again."""

from __future__ import annotations

from collections.abc import Sequence

from hcs.domain.ome.plates import ListedField, ListedImage, ListedWell, PlateMetadata, number_sites
from hcs.errors import InputError

Wells = Sequence[tuple[ListedWell, tuple[ListedImage, ...]]]


def split(
    path: str, plate: PlateMetadata, wells: Wells, wanted: int | None
) -> tuple[tuple[ListedField, ...], tuple[int | None, ...]]:
    """Put the images of one place together: one of each acquisition, in listing order.

    Parameters
    ----------
    path, plate
        Where the plate lies and what it declares.
    wells
        Images of each well.
    wanted
        Number of the one acquisition that is asked for, or None.

    Returns
    -------
    tuple of ListedField, tuple of int or None
        Fields, and the acquisitions that they are of. Fields of several acquisitions are numbered
        in listing order, so that a place has one number, whichever acquisition is read.

    Raises
    ------
    InputError
        When there is no such acquisition, an image does not say whose it is, or the acquisitions
        of a well have different numbers of fields.
    """
    named = {image.acquisition for _, images in wells for image in images}
    ids = tuple(sorted(named, key=lambda number: (number is None, number or 0)))
    _refuse_unclear(path, plate, wells, ids)
    if wanted is not None and wanted not in ids:
        known = ", ".join(map(_say, ids)) or "none"
        msg = f"{path} has no images of acquisition {wanted}; there are: {known}"
        raise InputError(msg)
    if len(ids) <= 1:
        numbers = number_sites([[image.name for image in images] for _, images in wells])
        fields = [
            ListedField(item.well, site, (image,))
            for (item, images), sites in zip(wells, numbers, strict=True)
            for site, image in zip(sites, images, strict=True)
        ]
        return tuple(fields), ids
    chosen = ids if wanted is None else (wanted,)
    fields = []
    for item, images in wells:
        groups = [[i for i in images if i.acquisition == number] for number in chosen]
        if len({len(group) for group in groups if group}) > 1:
            told = ", ".join(
                f"{len(group)} images of {_say(number)}"
                for number, group in zip(chosen, groups, strict=True)
            )
            msg = (
                f"{path}: well {item.path} has {told}, so the fields of its acquisitions do not "
                f"match; {advise(ids)}"
            )
            raise InputError(msg)
        together = zip(*(group for group in groups if group), strict=True)
        fields += [ListedField(item.well, site, each) for site, each in enumerate(together)]
    return tuple(fields), chosen


def _refuse_unclear(
    path: str, plate: PlateMetadata, wells: Wells, ids: Sequence[int | None]
) -> None:
    """Refuse images that do not say which of several acquisitions they belong to."""
    declared = plate.acquisitions
    if None not in ids or (len(ids) == 1 and len(declared) <= 1):
        return
    silent = [image for _, images in wells for image in images if image.acquisition is None]
    if len(ids) == 1 and all(len(images) <= 1 for _, images in wells):
        return  # one image a well: nothing is mixed
    shown = ", ".join(image.path for image in silent[:3])
    known = sorted({*declared, *(number for number in ids if number is not None)})
    msg = (
        f"{path}: {len(silent)} images ({shown}{', …' if len(silent) > 3 else ''}) do not "
        f"say which of the acquisitions {', '.join(map(str, known))} they belong to; add "
        "'acquisition' to them in the metadata of their wells"
    )
    raise InputError(msg)


def _say(number: int | None) -> str:
    return "no acquisition" if number is None else f"acquisition {number}"


def advise(ids: Sequence[int | None]) -> str:
    """Name the options that read one acquisition."""
    options = " or ".join(f"--acquisition {number}" for number in ids if number is not None)
    return f"read one at a time with {options}"
