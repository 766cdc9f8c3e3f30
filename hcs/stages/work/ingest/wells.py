"""What a worker does of ingest: read one well's files, write its fields, name what is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from numpy.typing import NDArray

from hcs.compute.units import Past
from hcs.compute.work import AGAIN
from hcs.domain import columns as col
from hcs.io.images.sources import open_source
from hcs.io.plates import overview, plate
from hcs.ops import mosaic
from hcs.stages.work.ingest import vanished
from hcs.stages.work.ingest.fields import FieldReading
from hcs.stages.work.ingest.reading import WellJob
from hcs.stages.work.ingest.writing import shrink, write_field


def write_well(job: WellJob, past: Past) -> Mapping[str, Any]:
    """Write the fields of one well that are missing or changed; runs on a worker."""
    known = {row[col.FIELD_PATH]: row for row in past.result.get("images", ())}
    images: list[dict[str, Any]] = []
    problems: list[dict[str, Any]] = []
    padded: list[str] = []
    again: list[str] = []
    small: dict[str, NDArray[Any]] = {}
    with closing(open_source(job.source, job.layout)) as source:
        for field in job.fields:
            if field.path in past.items:
                images += [known[field.path]] if field.path in known else []
                problems += [p for p in past.result.get("problems", ()) if p["site"] == field.site]
                padded += [path for path in past.result.get("padded", ()) if path == field.path]
                past.keep_files(f"/{field.path}/")
                if not job.in_place and field.path in known:
                    plate.set_windows(job.out, field.path, job.windows)
                continue
            faults = vanished.name_fewer(job, field, past.earlier)
            reading = FieldReading(job, field, source)
            written = write_field(reading, faults)
            again += [field.path] if reading.may_pass else []
            if written is not None:
                images.append(written.row)
                padded += [] if written.is_whole else [field.path]
                if written.picture is not None:
                    small[field.path] = written.picture
            problems += [fault.model_dump(mode="json") for fault in faults]
    if images and not job.in_place:
        _write_documents(job, [row[col.FIELD_PATH] for row in images], small)
    found = {"images": images, "problems": problems, "padded": padded, "chosen": job.chosen}
    gone = [] if job.in_place else vanished.list_gone(job, past.earlier)
    return found | {name: few for name, few in ((AGAIN, again), (vanished.GONE, gone)) if few}


def _write_documents(job: WellJob, paths: Sequence[str], small: Mapping[str, NDArray[Any]]) -> None:
    """Write what lists the fields of a well, and the well in small."""
    plate.write_well(job.out, job.well, [path.rsplit("/", 1)[1] for path in paths])
    _write_overview(job, paths, small)


def _write_overview(job: WellJob, paths: Sequence[str], small: Mapping[str, NDArray[Any]]) -> None:
    """Write the well in small: its fields of this run, and those that an earlier one wrote."""
    projected = job.projection is not None
    shape = (job.n_times, len(job.channels), 1 if projected else job.n_planes)
    pictures = [
        small[path] if path in small else shrink(job, plate.read_first(job.out, path, shape))
        for path in paths
    ]
    overview.write_well_overview(job.out, job.well, mosaic.lay_out(pictures, overview.WELL_PX))
