"""Label images that any program left in a plate, held against the field that they are of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import zarr
from numpy.typing import NDArray

from hcs.domain.columns import Reason
from hcs.domain.config.labels import BlankLabels
from hcs.domain.ome.images import ImageMetadata, is_same_size, parse_image
from hcs.errors import ImageReadError, InputError
from hcs.io.plates import labels
from hcs.io.plates.codecs import refuse_unsafe
from hcs.io.plates.pixels import read_pixels, refuse_blank
from hcs.io.plates.plate import open_store
from hcs.io.plates.reader import PlateReader
from hcs.io.plates.stamps import DAMAGE, stamp_field

_UNSTATED: Final = 1.0
"""Programs that know no pixel size write a scale of 1."""


def locate_label(field_path: str, name: str) -> str:
    """Path of a label image in its plate."""
    return f"{field_path}/labels/{name}"


def stamp_label(plate_path: str, field_path: str, name: str) -> str:
    """Fingerprint of a label by sizes and times of change of its files; ``absent`` without any."""
    return stamp_field(plate_path, locate_label(field_path, name))


def read_given(
    reader: PlateReader,
    field_path: str,
    name: str,
    shape: tuple[int, int],
    *,
    z_index: int | None,
    t_index: int,
    blank: BlankLabels = "refuse",
) -> NDArray[Any]:
    """Read the label image of one field at one time point, at its finest level.

    Parameters
    ----------
    reader, field_path, name
        Where.
    shape
        ``(Y, X)`` of the field.
    z_index
        Plane that is measured; None for a projection of several.
    t_index
        Time point.
    blank
        What a label without any file of pixels means.

    Returns
    -------
    ndarray
        ``(Y, X)`` of whatever integers are stored.

    Raises
    ------
    ImageReadError
        When the field has no such label, it cannot be read, or it is not of the same pixels; the
        message names the field, and what to do.
    """
    path = locate_label(field_path, name)
    where = f"{reader.path}/{path}"
    attributes = _read_attributes(reader, field_path, name)
    try:
        metadata = parse_image(attributes)
    except InputError as error:
        raise ImageReadError(f"{where} {error}", Reason.UNREADABLE) from error
    array = _open_array(reader, f"{path}/{metadata.levels[0]}")
    sizes = dict(zip(metadata.axes, array.shape, strict=False))
    if len(metadata.axes) != array.ndim:
        msg = f"{where}: {array.ndim} axes, its metadata name {list(metadata.axes)}"
        raise ImageReadError(msg, Reason.WRONG_SHAPE)
    _refuse_other_pixels(where, sizes, metadata, shape, reader.pixel_size_um)
    if reader.n_t > 1 and not labels.is_of_time(attributes, t_index):
        msg = f"{where}: was not made of time point {t_index}, or does not say of which it is"
        raise ImageReadError(msg, Reason.MISSING_FILE)
    place = {
        "c": _choose(where, sizes, "c", 0, 1),
        "t": _choose(where, sizes, "t", t_index, reader.n_t),
        "z": _choose(where, sizes, "z", z_index, reader.n_z),
    }
    index = tuple(slice(None) if axis in "yx" else place[axis] for axis in metadata.axes)
    plane = _read_plane(reader, array, index, labels.find_maker(attributes), blank)
    return plane if metadata.axes.index("y") < metadata.axes.index("x") else plane.T


def _read_attributes(reader: PlateReader, field_path: str, name: str) -> dict[str, Any]:
    path = locate_label(field_path, name)
    try:
        return reader.attributes(path)
    except (KeyError, *DAMAGE) as error:
        there = ", ".join(map(repr, reader.label_names(field_path))) or "none"
        msg = f"{reader.path}/{field_path} has no label {name!r}; it has {there}"
        raise ImageReadError(msg, Reason.MISSING_FILE) from error


def _open_array(reader: PlateReader, path: str) -> zarr.Array[Any]:
    where = f"{reader.path}/{path}"
    try:
        array = zarr.open_array(open_store(reader.path, read_only=True), path=path, mode="r")
        refuse_unsafe(array, where)
    except (KeyError, *DAMAGE) as error:
        msg = f"{where}: cannot be opened: {error}"
        raise ImageReadError(msg, Reason.UNREADABLE) from error
    if array.dtype.kind not in "uib":
        msg = f"{where}: pixels are {array.dtype}; a label image has whole numbers, one an object"
        raise ImageReadError(msg, Reason.WRONG_TYPE)
    return array


def _refuse_other_pixels(
    where: str,
    sizes: Mapping[str, int],
    metadata: ImageMetadata,
    shape: tuple[int, int],
    pixel_size_um: float | None,
) -> None:
    found = (sizes["y"], sizes["x"])
    if found != shape:
        msg = (
            f"{where}: {found[0]} × {found[1]} pixels, its field has {shape[0]} × {shape[1]}; "
            "resize the label to its field by nearest neighbor (skimage.transform.resize with "
            "order=0), at its finest level"
        )
        raise ImageReadError(msg, Reason.WRONG_SHAPE)
    stated = metadata.pixel_size_um
    if stated is None or stated == _UNSTATED or pixel_size_um is None:
        return
    if not is_same_size(stated, pixel_size_um):
        msg = (
            f"{where}: states pixels of {stated:g} µm, its field {pixel_size_um:g} µm, with as "
            "many pixels: one of them is wrong, or the label is of another image"
        )
        raise ImageReadError(msg, Reason.CONTRADICTORY)


def _choose(where: str, sizes: Mapping[str, int], axis: str, index: int | None, length: int) -> int:
    """Index along an axis of a label; 0 where it has none, or one place only."""
    found = sizes.get(axis, 1)
    if found == 1 and (axis != "t" or length == 1):
        return 0
    if found != length:
        msg = f"{where}: {found} places along {axis}, its field has {length}"
        raise ImageReadError(msg, Reason.WRONG_SHAPE)
    if index is None:
        msg = (
            f"{where}: is a stack of {found} planes, and a projection is measured: objects cannot "
            "be projected without being mixed; measure one plane (--plane z:INDEX), or leave a "
            "label of one plane there"
        )
        raise ImageReadError(msg, Reason.WRONG_SHAPE)
    return index


def _read_plane(
    reader: PlateReader,
    array: zarr.Array[Any],
    index: tuple[Any, ...],
    made_by: str | None,
    blank: BlankLabels,
) -> NDArray[Any]:
    if made_by is None and blank == "refuse":
        _refuse_blank(reader.path, array, index)
    plane = read_pixels(reader.path, array, index, made_by, may_be_blank=True)
    return plane.astype(plane.dtype.newbyteorder("="), copy=False)


def _refuse_blank(root: str, array: zarr.Array[Any], index: tuple[Any, ...]) -> None:
    try:
        refuse_blank(root, array, index)
    except ImageReadError as error:
        msg = (
            f"{root}/{array.path}: not one file of this label's pixels is there, so it is lost, or "
            "a field without objects of a program that leaves zeros out; where you know that it is "
            "the latter: --blank-labels empty"
        )
        raise ImageReadError(msg, Reason.MISSING_FILE) from error
