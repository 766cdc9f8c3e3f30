"""OME-Zarr 0.5 plates on disk: written field by field, read plane by plane."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import zarr
import zarr.errors
from numpy.typing import NDArray
from zarr.abc.store import Store
from zarr.storage import LocalStore

from hcs.domain import ngff
from hcs.domain.display import Window
from hcs.domain.planes import PlaneState, read_states
from hcs.domain.wells import Well
from hcs.errors import InputError, StaleError
from hcs.io.files import objects, storage
from hcs.io.files.atomic import replace_folder, write_bytes, write_json
from hcs.io.files.edge import refuse_special
from hcs.io.files.paths import AnyPath, as_path, as_text, is_local, sidecar
from hcs.io.plates import plate_tables, shards

NOTES: Final = "hcs"
"""Key of the attributes that viewers pass over."""

FLAT_FIELDS: Final = "flat_fields"

MADE_BY: Final = "made_by"
"""Note of a label that hcs wrote: by which stage, which may write it again, and no other."""

PLANES: Final = "planes"
"""Note of a plate: what its planes are; of a field: which of them are not there."""


def open_store(path: AnyPath, *, read_only: bool) -> Store:
    """Open a Zarr store at a local path or an object-store address."""
    target = as_path(path)
    if is_local(target):
        for document in (shards.DOCUMENT, ".zgroup", ".zattrs") if read_only else ():
            refuse_special(f"{target}/{document}", "metadata document")
        return LocalStore(str(target), read_only=read_only)
    return objects.open_store(target, read_only=read_only)


def create_plate(out: AnyPath, attributes: Mapping[str, Any], rows: Sequence[str]) -> None:
    """Write the plate group and its row groups; fields already there stay."""
    store = open_store(out, read_only=False)
    _write_group(store, "", {**_read_provenance(store), **attributes})
    create_rows(out, rows)


def create_rows(out: AnyPath, rows: Sequence[str]) -> None:
    """Write the groups of rows."""
    store = open_store(out, read_only=False)
    for row in rows:
        _write_group(store, row, {})


def _read_provenance(store: Store) -> dict[str, Any]:
    try:
        attributes = dict(zarr.open_group(store, mode="r", zarr_format=3).attrs)
    except (zarr.errors.GroupNotFoundError, FileNotFoundError):
        return {}
    return {"hcs": attributes["hcs"]} if "hcs" in attributes else {}


def _write_group(store: Store, path: str, attributes: Mapping[str, Any]) -> None:
    """Write one group's ``zarr.json`` and leave its members alone."""
    try:
        group = zarr.open_group(store, path=path, mode="r+", zarr_format=3)
    except (zarr.errors.GroupNotFoundError, FileNotFoundError):
        zarr.create_group(store, path=path, attributes=dict(attributes), zarr_format=3)
        return
    if dict(group.attrs) != dict(attributes):
        group.attrs.put(dict(attributes))


def write_well(out: AnyPath, well: Well, fields: Sequence[str]) -> None:
    """Write a well group that lists its fields."""
    document = shards.group_document(ngff.well_attributes(fields))
    write_bytes(f"{as_text(out)}/{well.path}/{shards.DOCUMENT}", document)


def write_image(
    out: AnyPath,
    path: str,
    attributes: Mapping[str, Any],
    levels: Sequence[tuple[ngff.Level, NDArray[Any]]],
    axes: Sequence[str],
) -> None:
    """Write one image group (a field, or a label) with all of its levels, in one step.

    What lay there before is replaced, with the labels of a field, which belonged to other pixels.

    Parameters
    ----------
    out, path
        Plate, and the group inside it.
    attributes
        From :func:`hcs.domain.ngff.image_attributes` or ``label_attributes``.
    levels
        Every level with its pixels.
    axes
        Names of the axes.
    """
    objects = {
        f"{index}/{key}": pieces
        for index, (level, pixels) in enumerate(levels)
        for key, pieces in shards.encode_array(level, pixels, axes)
    }
    objects[shards.DOCUMENT] = [shards.group_document(attributes)]
    replace_folder(f"{as_text(out)}/{path}", objects)


def write_planes(
    out: AnyPath,
    path: str,
    levels: Sequence[ngff.Level],
    dtype: str,
    axes: Sequence[str],
    planes: Iterable[tuple[tuple[int, ...], Sequence[NDArray[Any]]]],
    describe: Callable[[], Mapping[str, Any]],
) -> None:
    """Write one image group as :func:`write_image` does, its planes one after the other.

    Parameters
    ----------
    out, path
        Plate, and the group inside it.
    levels, dtype, axes
        Of the image.
    planes
        Place along the leading axes, and the picture ``(Y, X)`` of every level; places that do not
        come are zeros.
    describe
        Called when all planes have come: returns the attributes. What it raises leaves all as it
        was.
    """
    files = _encode_planes(levels, dtype, axes, planes)

    def document() -> Iterator[tuple[str, list[bytes]]]:
        yield shards.DOCUMENT, [shards.group_document(describe())]

    replace_folder(f"{as_text(out)}/{path}", itertools.chain(files, document()))


def _encode_planes(
    levels: Sequence[ngff.Level],
    dtype: str,
    axes: Sequence[str],
    planes: Iterable[tuple[tuple[int, ...], Sequence[NDArray[Any]]]],
) -> Iterator[tuple[str, list[bytes]]]:
    """Yield the files of all levels: shards as their planes come, small levels at the end."""
    for index, level in enumerate(levels):
        yield f"{index}/{shards.DOCUMENT}", [shards.array_document(level, dtype, tuple(axes))]
    whole = {i: np.zeros(of.shape, dtype) for i, of in enumerate(levels) if not of.is_by_plane}
    single = [(i, of) for i, of in enumerate(levels) if i not in whole]
    leading = levels[0].shape[:-2]
    ones = (1,) * len(leading)
    absent = set(np.ndindex(*leading))
    for place, pictures in planes:
        absent.discard(place)
        for index, array in whole.items():
            array[place] = pictures[index]
        for index, level in single:
            picture = pictures[index].reshape(*ones, *level.shape[-2:])
            pieces = shards.encode_shard(picture, level.shards, level.chunks)
            yield f"{index}/{shards.name_shard(place)}", pieces
    for index, level in single if absent else ():
        blank = np.zeros((*ones, *level.shape[-2:]), dtype)
        pieces = shards.encode_shard(blank, level.shards, level.chunks)
        for place in sorted(absent):
            yield f"{index}/{shards.name_shard(place)}", pieces
    for index, array in whole.items():
        for key, pieces in itertools.islice(
            shards.encode_array(levels[index], array, axes), 1, None
        ):
            yield f"{index}/{key}", pieces


def set_windows(out: AnyPath, path: str, windows: Sequence[Window]) -> None:
    """Let a field that is written be shown between these values; its pixels stay.

    Raises
    ------
    StaleError
        When the field's document is damaged.
    """
    file = f"{as_text(out)}/{path}/{shards.DOCUMENT}"
    entries = [window.entry() for window in windows]
    try:
        attributes = json.loads(as_path(file).read_bytes())["attributes"]
        shown = attributes["ome"]["omero"]["channels"]
        if [channel["window"] for channel in shown] == entries:
            return
        for channel, entry in zip(shown, entries, strict=True):
            channel["window"] = entry
    except (ValueError, KeyError, TypeError) as error:
        msg = f"{file} is damaged: remove it and run the same command again, which writes it anew"
        raise StaleError(msg) from error
    write_bytes(file, shards.group_document(attributes))


def read_first(out: AnyPath, path: str, shape: tuple[int, int, int]) -> NDArray[Any]:
    """Read the first plane that every channel has in the smallest level of a field.

    Of a plate that is being written, ``shape`` being ``(t, c, z)``.

    Returns
    -------
    ndarray
        ``(c, Y, X)``; zeros of a channel that the field lacks.
    """
    store = open_store(out, read_only=True)
    attributes: Any = zarr.open_group(store, path=path, mode="r", zarr_format=3).attrs
    state = _read_states(attributes, shape)
    level = attributes["ome"]["multiscales"][0]["datasets"][-1]["path"]
    array: Any = zarr.open_array(store, path=f"{path}/{level}", mode="r")
    first = []
    for channel in range(shape[1]):
        there = np.argwhere(state[:, channel] == PlaneState.PRESENT)
        time, z = map(int, there[0]) if there.size else (0, 0)
        place = [time] * (shape[0] > 1) + [channel] + [z] * (shape[2] > 1)
        first.append(np.asarray(array[tuple(place)]))
    return np.stack(first)


def read_field_states(out: AnyPath, path: str, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Read the state of every plane ``(t, c, z)`` of a field in a plate that is being written."""
    store = open_store(out, read_only=True)
    return _read_states(zarr.open_group(store, path=path, mode="r").attrs, shape)


def _read_states(attributes: Any, shape: tuple[int, int, int]) -> NDArray[np.uint8]:  # noqa: ANN401
    return read_states(attributes.get(NOTES, {}).get(PLANES, {}), shape)


def write_label(
    out: AnyPath,
    field_path: str,
    name: str,
    label: NDArray[Any],
    pixel_size_um: float | None,
    stage: str = "features",
) -> None:
    """Write a label image ``(Y, X)`` under ``<field>/labels/<name>`` and list it there.

    A label is a name, not a quantity: the levels of its pyramid pick pixels, they never average.
    """
    prepare_labels(out, field_path)
    levels = ngff.pyramid(label.shape, label.dtype.itemsize)
    pictures = [(level, pick_pixels(label, level)) for level in levels]
    attributes = ngff.label_attributes(name, levels, pixel_size_um)
    attributes[NOTES] = {MADE_BY: f"hcs {stage}"}
    write_image(out, f"{field_path}/labels/{name}", attributes, pictures, ("y", "x"))
    list_label(out, field_path, name)


def prepare_labels(out: AnyPath, field_path: str) -> None:
    """Make a field ready for labels: what killed runs left half-written is removed.

    Raises
    ------
    InputError
        When labels cannot be written into the plate.
    """
    if plate_tables.is_version_04(out):
        msg = (
            f"{out} is OME-Zarr 0.4, into which hcs writes no labels: go on without them "
            f"(--no-write-labels), or convert the plate with: hcs ingest {out} NEW.zarr"
        )
        raise InputError(msg)
    storage.sweep_folder(str(as_path(out) / field_path / "labels"))


def list_label(out: AnyPath, field_path: str, name: str) -> None:
    """Name a label in the list of those of its field."""
    document = as_path(out) / field_path / "labels" / shards.DOCUMENT
    attributes: dict[str, Any] = {}
    if document.exists():  # another program may have written it, with less or more than ours
        attributes = dict(json.loads(document.read_text()).get("attributes") or {})
    ome = dict(attributes.get("ome") or {})
    listed = list(ome.get("labels") or ())
    if name not in listed:
        attributes["ome"] = ome | {"version": ngff.VERSION, "labels": [*listed, name]}
        write_bytes(document, shards.group_document(attributes))


def unlist_label(out: AnyPath, field_path: str, name: str) -> None:
    """Take a label off the list of those of its field."""
    document = as_path(out) / field_path / "labels" / shards.DOCUMENT
    attributes = dict(json.loads(document.read_text()).get("attributes") or {})
    ome = dict(attributes.get("ome") or {})
    kept = [other for other in ome.get("labels") or () if other != name]
    attributes["ome"] = ome | {"labels": kept}
    write_bytes(document, shards.group_document(attributes))


def pick_pixels(label: NDArray[Any], level: ngff.Level) -> NDArray[Any]:
    """Pick the pixel nearest to the middle of every block; the last one where a block is cut."""
    rows, columns = (
        np.minimum(np.arange(count) * level.factor + level.picked, length - 1)
        for count, length in zip(level.shape, label.shape, strict=True)
    )
    return label[np.ix_(rows, columns)]


def write_note(out: AnyPath, name: str, value: Any) -> None:  # noqa: ANN401  (JSON)
    """Keep what viewers pass over in the plate's attributes, under ``hcs``."""
    if plate_tables.is_version_04(out):
        write_json(sidecar(out) / f"{name}.json", value)
        return
    group = zarr.open_group(open_store(out, read_only=False), mode="r+", zarr_format=3)
    kept = dict(dict(group.attrs).get("hcs", {}))  # type: ignore[arg-type]
    kept[name] = value
    group.attrs["hcs"] = kept


def write_provenance(out: AnyPath, stage: str, provenance: Mapping[str, Any]) -> None:
    """Keep a stage's provenance in the plate's own attributes."""
    write_note(out, stage, dict(provenance))
