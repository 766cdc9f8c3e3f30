"""What an earlier run wrote and the source no longer has: it is named, and nothing is removed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from hcs.domain import columns as col
from hcs.domain.config.stages import IngestConfig
from hcs.domain.results import Problem
from hcs.errors import InputError
from hcs.io.files.atomic import read_json
from hcs.io.files.paths import as_path
from hcs.io.plates import plate
from hcs.io.runs.fingerprints import fingerprint
from hcs.stages.frame import Frame
from hcs.stages.work.ingest.reading import STAGE, FieldJob, WellJob, make_problem

GONE: Final = "gone"
"""Entry of a well's result: fields of earlier runs whose files are no longer in the source."""

_CHOOSING: Final = ("layout", "acquisition", "pages", "plate_name", "projection")
"""Settings that decide what is read of a source: with others less may be read on purpose."""


def choice_of(config: IngestConfig) -> str:
    """Name the settings that decide what is read of a source."""
    return fingerprint(config.model_dump(mode="json", include=set(_CHOOSING)))


def refuse_lost_axes(config: IngestConfig, job: WellJob, *, lost_files: bool) -> None:
    """Refuse to write over channels, planes or time points that the source no longer has at all.

    Every field would be written anew without them, and what is stored may be the only copy. Where
    as many are there under other names they may be the same ones, unless ``lost_files``: files are
    gone of which fields were made.

    Raises
    ------
    InputError
        With what is lost and what to do.
    """
    document = as_path(config.out) / "zarr.json"
    found: Any = read_json(document) if document.exists() else {}
    notes = found.get("attributes", {}).get(plate.NOTES, {})
    made, before = notes.get(STAGE, {}).get("config"), notes.get(plate.PLANES)
    if not made or not before or any(made.get(name) != _plain(config)[name] for name in _CHOOSING):
        return
    now: dict[str, list[object]] = {
        "channel": [channel.name for channel in job.channels],
        "time point": list(job.numbers.t),
        "z plane": [] if job.projection else list(job.numbers.z),
    }
    stored: dict[str, list[object]] = {
        "channel": [channel["name"] for channel in before.get("channels", ())],
        "time point": before.get("t", []),
        "z plane": before.get("z", []),
    }
    lost = [
        f"{word} {', '.join(_show(each) for each in gone)}"
        for word, there in stored.items()
        if lost_files or len(now[word]) < len(there)
        for gone in [[each for each in there if each not in now[word]]]
        if gone
    ]
    if lost:
        msg = (
            f"{config.out} holds {' and '.join(lost)}, of which {config.source} has no file any "
            "more: it would be written over without. Bring the files back; or give another output, "
            f"or remove {config.out} first, to have the plate without"
        )
        raise InputError(msg)


def _plain(config: IngestConfig) -> dict[str, Any]:
    return config.model_dump(mode="json")


def _show(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float) else repr(value)


def name_fewer(job: WellJob, field: FieldJob, past: Mapping[str, Any]) -> list[Problem]:
    """Name the files that a field was made of in an earlier run, where it has fewer planes now."""
    if past.get("chosen") != job.chosen:
        return []
    before = next((r for r in past.get("images", ()) if r[col.SITE] == field.site), None)
    sources = [] if before is None else str(before[col.SOURCES]).split("|")
    if len(sources) <= len(field.planes):
        return []
    now = {plane.path for plane in field.planes}
    lost = [path for path in dict.fromkeys(sources) if path not in now]
    named = ", ".join(lost[:3]) + (f" and {len(lost) - 3} more" if len(lost) > 3 else "")
    message = (
        f"the field is written again with {len(field.planes)} of the {len(sources)} planes that "
        f"an earlier run found{f': {named} is no longer there' if lost else ''}"
    )
    fault = make_problem(
        job, field, lost[0] if lost else field.path, col.Reason.MISSING_FILE, message
    )
    return [fault.model_copy(update={"kept": True})]


def list_gone(job: WellJob, past: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List the fields of a well that earlier runs wrote and of which no file is left."""
    sites = {field.site for field in job.fields}
    return [row for row in _list_written(past) if row[col.SITE] not in sites]


def _list_written(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    if "chosen" not in result:
        return []  # of another stage, which had the place before
    rows = (*result.get(GONE, ()), *result.get("images", ()))
    kept = (col.SITE, col.FIELD_PATH, col.SOURCES)
    named = {row[col.SITE]: {key: row[key] for key in kept if key in row} for row in rows}
    return list(named.values())


def name_vanished(
    jobs: Sequence[WellJob], results: Iterable[Mapping[str, Any]], frame: Frame
) -> list[Problem]:
    """Name wells and fields that lie in the output, but whose files are no longer in the source.

    Their pixels stay where they are and the plate does not list them, nor does any stage read them.
    Each run says so until the files are back or the folder is removed.
    """
    out, source = jobs[0].out, jobs[0].source
    taken = {field.path for job in jobs for field in job.fields}
    read = {plane.path for job in jobs for field in job.fields for plane in field.planes}
    gone = {job.well.name: found.get(GONE, ()) for job, found in zip(jobs, results, strict=True)}
    others = frame.recall_others([job.well.name for job in jobs])
    gone |= {name: _list_written(found) for name, found in others.items()}
    problems = []
    for well, rows in gone.items():
        for row in rows:
            path, site = str(row[col.FIELD_PATH]), int(row[col.SITE])
            renumbered = not read.isdisjoint(str(row.get(col.SOURCES)).split("|"))
            if path in taken and renumbered:
                continue
            if path in taken:
                what = f"site {int(site)} was stored at {path}, where another field now lies"
            elif (as_path(out) / path / "zarr.json").exists():
                what = (
                    f"the plate no longer lists it, and its stored pixels stay at {out}/{path}: "
                    "bring the files back and run the same command again, or remove that folder"
                )
            else:
                continue
            how = (
                f"its files in {source} are now read as another field"
                if renumbered
                else f"no file of it is left in {source}"
            )
            message = f"well {well} site {site} was written by an earlier run, and {how}; {what}"
            place = {"plate": jobs[0].plate, "well": well, "site": site}
            problems.append(
                Problem(
                    stage=STAGE,
                    file=path,
                    reason=col.Reason.MISSING_FILE,
                    message=message,
                    **place,
                )
            )
    return problems
