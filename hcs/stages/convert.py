"""From an OME-Zarr plate of any version to one of version 0.4, for programs that take no other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from hcs.compute.units import Past, Unit
from hcs.domain import columns as col
from hcs.domain.config.stages import ConvertConfig
from hcs.domain.ome import version04
from hcs.domain.ome.plates import Flaw, ListedImage, ListedWell
from hcs.domain.results import Problem, StageResult
from hcs.errors import ImageReadError, InputError
from hcs.io.files.paths import as_path
from hcs.io.images.checks import to_native
from hcs.io.ngff import version04 as files
from hcs.io.ngff.foreign import ForeignPlate
from hcs.io.plates import plate, plate_tables
from hcs.io.plates.reader import PlateReader
from hcs.io.plates.stamps import stamp_field
from hcs.stages.frame import Frame, MadeFrom, open_frame
from hcs.stages.work.tables import hash_rows

if TYPE_CHECKING:
    from distributed import Client

STAGE: Final = "convert"

_FORMAT: Final = 1

_CARRIED: Final = (plate.PLANES, plate.FLAT_FIELDS)
"""Notes without which a plate would be read otherwise: padding, illumination."""


@dataclass(frozen=True)
class _Job:
    """One well to write."""

    source: str
    out: str
    plate: str
    well: ListedWell
    images: tuple[ListedImage, ...]
    strict: bool


def run(config: ConvertConfig, client: Client | None = None) -> StageResult:
    """Write ``config.out`` from ``config.plate``: the same pixels at all levels, labels too.

    Parameters
    ----------
    config
        What to convert, and where to.
    client
        Dask client; None works in this process.

    Returns
    -------
    StageResult
        Wells and images that are not there or cannot be read are in its ``problems``.

    Raises
    ------
    InputError
        When the output is the plate itself or a plate of another version, or nothing can be read.
    """
    if as_path(config.plate) == as_path(config.out):
        msg = f"{config.out} is both the plate and the output; give the output another path"
        raise InputError(msg)
    if (as_path(config.out) / "zarr.json").exists():
        msg = f"{config.out} is there and is no OME-Zarr 0.4 (Zarr v2); give another path"
        raise InputError(msg)
    apart = ("plate", "out", "strict")
    with open_frame(
        STAGE, config, client, out=config.out, reads=(config.plate,), apart=apart
    ) as frame:
        return _run(config, frame)


def _run(config: ConvertConfig, frame: Frame) -> StageResult:
    source = ForeignPlate(config.plate)
    reader = PlateReader(config.plate)
    wells, flaws = source.list_wells()
    frame.problems += [_as_problem(flaw, reader.name) for flaw in (*source.metadata.flaws, *flaws)]
    units = [
        Unit(
            item.well.name,
            MadeFrom(_FORMAT, frame.settings, pixels=pixels).fingerprint,
            _Job(config.plate, config.out, reader.name, item, images, config.strict),
            pixels,
        )
        for item, _, images in wells
        for pixels in [{image.path: _stamp(config.plate, image.path) for image in images}]
    ]
    files.write_group(config.out, "", {})
    for row in dict.fromkeys(item.path.split("/")[0] for item, _, _ in wells):
        files.write_group(config.out, row, {})
    results = frame.do(write_well, units, label=f"convert {reader.name}", in_place=True)
    written = {path for result in results for path in result["images"]}
    kept = [
        (item, [image for image in images if image.path in written]) for item, _, images in wells
    ]
    kept = [(item, images) for item, images in kept if images]
    if not kept:
        first = "; ".join(problem.message for problem in frame.problems[:3])
        raise InputError(f"no image of {config.plate} could be read: {first}")
    _join(config, source, reader, kept, frame)
    return frame.result(
        {
            "plate": reader.name,
            "from": f"OME-Zarr {reader.version}",
            "to": f"OME-Zarr {config.ome_zarr}",
            "wells": len(kept),
            "images": len(written),
        }
    )


def _stamp(source: str, path: str) -> str:
    """Stamp an image with its labels."""
    return f"{stamp_field(source, path)} {stamp_field(source, f'{path}/labels')}"


def _as_problem(flaw: Flaw, name: str) -> Problem:
    return Problem(
        stage=STAGE,
        file=flaw.path,
        reason=flaw.reason,
        message=flaw.message,
        plate=name,
        well=None if flaw.well is None else flaw.well.name,
        site=flaw.site,
        kept=flaw.kept,
    )


def write_well(job: _Job, past: Past) -> Mapping[str, Any]:
    """Write the images of one well that are missing or changed; runs on a worker."""
    reader = PlateReader(job.source)
    known = set(past.result.get("images", ()))
    written: list[str] = []
    problems = []
    for site, image in enumerate(job.images):
        if image.path in past.items and image.path in known:
            past.keep_files(f"/{image.path}/")
            written.append(image.path)
            continue
        try:
            tree = _read_tree(reader, image.path)
        except (ImageReadError, InputError) as error:
            if job.strict:
                raise
            reason = getattr(error, "reason", col.Reason.UNREADABLE)
            flaw = Flaw(col.Reason(reason), image.path, str(error), job.well.well, site)
            problems.append(_as_problem(flaw, job.plate).model_dump(mode="json"))
            continue
        files.write_image(job.out, image.path, tree)
        written.append(image.path)
    if written:
        listed = [image for image in job.images if image.path in written]
        files.write_group(job.out, job.well.path, version04.well_attributes(listed))
    return {"images": written, "problems": problems}


def _read_tree(reader: PlateReader, path: str) -> files.ImageTree:
    """Read an image with its levels and labels."""
    found = _read_image(reader, path)
    names = reader.label_names(path)
    if not names:
        return found
    labels = {name: _read_image(reader, f"{path}/labels/{name}") for name in names}
    group = files.ImageTree({"labels": list(names)}, {}, labels)
    return files.ImageTree(found.attributes, found.arrays, {"labels": group})


def _read_image(reader: PlateReader, path: str) -> files.ImageTree:
    levels = reader.describe(path).metadata.levels
    arrays = {level: to_native(reader.read_array(f"{path}/{level}")) for level in levels}
    shapes = [pixels.shape for pixels in arrays.values()]
    attributes = reader.attributes(path)
    return files.ImageTree(version04.image_attributes(attributes, shapes), arrays, {})


def _join(
    config: ConvertConfig,
    source: ForeignPlate,
    reader: PlateReader,
    wells: Sequence[tuple[ListedWell, Sequence[ListedImage]]],
    frame: Frame,
) -> None:
    """Write what the plate is, and the tables of a plate of hcs beside it."""
    attributes = reader.attributes("")
    notes = attributes.get(version04.NOTES, {})
    carried = {key: notes[key] for key in _CARRIED if key in notes}
    described = version04.plate_attributes(attributes, source.metadata, wells, carried)
    images, map_of_wells = reader.image_table, reader.well_table
    if images is not None:
        written = {image.path for _, listed in wells for image in listed}
        images = images[images[col.FIELD_PATH].isin(written)].reset_index(drop=True)

    def write(made: Mapping[str, Any]) -> None:
        files.write_group(config.out, "", described)
        if images is not None:
            plate_tables.write_plate_table(config.out, plate_tables.IMAGES, images)
            plate_tables.write_plate_table(config.out, plate_tables.WELLS, map_of_wells)
        plate.write_provenance(config.out, STAGE, made)

    rows = None if images is None else (hash_rows(images), hash_rows(map_of_wells))
    frame.join("plate", MadeFrom(_FORMAT, frame.settings, metadata=(described, rows)), write)
