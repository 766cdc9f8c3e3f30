"""Sizes that all plates of a study are measured with: found on all together, kept, used again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from numpy.typing import NDArray
from pydantic import ValidationError
from upath import UPath

from hcs.compute import progress
from hcs.domain import columns as col
from hcs.domain.config.measuring import SIZE_NAMES, Sizes
from hcs.domain.config.stages import FeaturesConfig, MorphologyConfig, Neurons
from hcs.domain.results import Problem
from hcs.errors import ImageReadError, InputError
from hcs.io.files.atomic import read_json, write_json
from hcs.io.files.paths import AnyPath, as_path
from hcs.io.plates.reader import PlateReader
from hcs.io.runs.fingerprints import fingerprint
from hcs.ops.blank import fill_blank
from hcs.ops.sight import show_objects
from hcs.ops.sizes.finding import FieldPlanes, FoundSize, fill_sizes, find_sizes
from hcs.planes.definitions import FEATURES_FORMAT
from hcs.planes.reading import Chosen, read_chosen
from hcs.stages.work.measuring.channels import Channels, choose_channels
from hcs.stages.work.measuring.plans import spread_places

_FORMAT: Final = 2
_FIELDS: Final = 12
"""Fields that sizes are found on, of all plates together; at least two of each plate."""

_MOST_FIELDS: Final = 24
_MOST_SIDE_PX: Final = 2160
"""Of larger planes, such as stitched wells, the middle is looked at: all are held at once."""

_UNITS: Final = {"um": "µm", "px": "px"}


@dataclass(frozen=True)
class Settled:
    """Sizes of a study.

    Attributes
    ----------
    config
        With every size filled in.
    words
        What they are and what they rest on, for the summary.
    doubts
        Sizes that may be wrong, as problems that stop nothing: all counts are relative to them.
    """

    config: FeaturesConfig
    words: dict[str, str]
    doubts: tuple[Problem, ...] = ()

    @property
    def nothing(self) -> tuple[Problem, ...]:
        """What is said where no object was found: a plate may be empty, a size may be wrong.

        Nothing where the images show nothing to take a size from: then they are empty.
        """
        told = [f"{name} {text}" for name, text in self.words.items() if "diameter" in name]
        if not told or any("the usual size is assumed" in text for text in self.words.values()):
            return ()
        message = f"no image shows an object at the assumed size ({', '.join(told)}): try --try 6"
        problem = Problem(
            stage="features",
            file=self.config.out,
            reason=col.Reason.DOUBTFUL,
            message=message,
            kept=True,
        )
        return (problem,)


def locate_sizes(out: AnyPath) -> UPath:
    """Return where the sizes of a table lie: beside it."""
    path = as_path(out)
    return path.parent / f"{path.stem}_scales.json"


def settle_sizes(
    config: FeaturesConfig, readers: Sequence[PlateReader], chosen: Mapping[str, Chosen]
) -> Settled:
    """Find the sizes of all plates together, unless they are given or stand beside the table.

    Those of an earlier run stay as long as its settings and the plates that they were found on are
    the same, so that a plate that is added is measured as the others were.

    Raises
    ------
    InputError
        When the file of sizes is none, or of other objects, channels or pixels, or a size is given
        twice, or in µm for a plate without a pixel size.
    """
    config = _with_file(config, readers)
    for reader in readers:
        config.morphology.sizes.check_units(reader.pixel_size_um, f"plate {reader.name}")
    file = locate_sizes(config.out)
    versions = (_FORMAT, FEATURES_FORMAT)
    mark = fingerprint(versions, config.morphology, config.channel, config.plane, config.time)
    plates = {
        r.name: fingerprint(
            r.images[col.FINGERPRINT].tolist(), r.pixel_size_um, choose_channels(config, r)
        )
        for r in readers
    }
    kept = _read_kept(file, mark, plates)
    if kept is not None:
        found = {name: FoundSize(**item) for name, item in kept["found"].items()}
        words = _describe(config.morphology, found)
        if kept["plates"] != plates and found:
            words["sizes kept"] = (
                f"as an earlier run found them on {', '.join(kept['plates'])}; remove {file} to"
                " find them on all plates anew"
            )
            progress.current().say(f"sizes kept {words['sizes kept']}")
        return Settled(_fill(config, found), words, _list_doubts(found, file))
    unread: set[str] = set()
    fields = _read_fields(config, readers, chosen, unread)
    found = find_sizes(config.morphology, fields)
    filled = _fill(config, found)
    document = {
        "format": _FORMAT,
        "found_in": _name_origin(config, readers),
        "sizes": filled.morphology.sizes.model_dump(exclude_none=True),
        "found": {name: asdict(size) for name, size in found.items()},
        "plates": plates,
        "made_with": None if unread else mark,  # a damaged plate may be whole the next time
    }
    write_json(file, document)
    words = _describe(config.morphology, found)
    for name, text in words.items():
        progress.current().say(f"{name}: {text}")
    return Settled(filled, words, _list_doubts(found, file))


def _name_origin(config: FeaturesConfig, readers: Sequence[PlateReader]) -> dict[str, Any]:
    """Say what sizes are of: the assay and the names of the channels that show the objects."""
    used = [(reader.channels, choose_channels(config, reader)) for reader in readers]
    nuclei = {names[item.nuclei] for names, item in used if item.nuclei is not None}
    return {
        "assay": config.morphology.assay.kind,
        "channels": sorted({names[item.main] for names, item in used}),
        "nuclei": sorted(nuclei),
        "has_pixel_size": readers[0].pixel_size_um is not None,
    }


def _refuse_other_objects(
    config: FeaturesConfig, readers: Sequence[PlateReader], read: Mapping[str, Any]
) -> None:
    """Refuse a file of sizes that were found on other objects, or in px of another length."""
    if "format" not in read:  # written by hand: whoever wrote it says that it fits
        return
    sizes = {str(name): value for name, value in read["sizes"].items()}
    flags = " ".join(f"--{n.split('_')[0]}-{n[-2:]} {value}" for n, value in sizes.items())
    remedy = f"leave --scales out to find them here, or give those that are meant ({flags})"
    there = read.get("found_in")
    if read["format"] != _FORMAT or not isinstance(there, dict):
        msg = f"{config.scales} is of another version (format {read['format']}): {remedy}"
        raise InputError(msg)
    here = _name_origin(config, readers)
    others = [n for n in ("channels", "nuclei") if not set(here[n]) <= set(there[n])]
    if here["assay"] != there["assay"] or others:
        told = [
            f"of the assay {origin['assay']!r} in {', '.join(origin['channels'])}"
            + (f" with nuclei in {', '.join(origin['nuclei'])}" if origin["nuclei"] else "")
            for origin in (there, here)
        ]
        msg = f"{config.scales} holds sizes {told[0]}, this run is {told[1]}: {remedy}"
        raise InputError(msg)
    known = [reader for reader in readers if reader.pixel_size_um is not None]
    if known and any(name.endswith("_px") for name in sizes) and not there["has_pixel_size"]:
        size = known[0].pixel_size_um
        msg = (
            f"{config.scales} holds sizes in px of plates that state no pixel size; pixels of plate"
            f" {known[0].name} are of {size:g} µm, which may be others: {remedy}"
        )
        raise InputError(msg)


def _with_file(config: FeaturesConfig, readers: Sequence[PlateReader]) -> FeaturesConfig:
    """Take the sizes of ``config.scales``."""
    if config.scales is None:
        return config
    remedy = "give a …_scales.json that hcs features wrote"
    read: Any = read_json(config.scales, "file of sizes", remedy)
    listed = read.get("sizes") if isinstance(read, dict) else None
    if not isinstance(listed, dict) or not listed:
        msg = f"{config.scales} holds no sizes: {remedy}"
        raise InputError(msg)
    _refuse_other_objects(config, readers, read)
    sizes = config.morphology.sizes
    twice = [
        name
        for name in SIZE_NAMES
        if any(sizes.is_given(name, unit) for unit in _UNITS)
        and any(f"{name}_{unit}" in listed for unit in _UNITS)
    ]
    if twice:
        msg = f"{', '.join(twice)} is given and also in {config.scales}: leave one of both out"
        raise InputError(msg)
    try:
        merged = Sizes.model_validate(sizes.model_dump(exclude_none=True) | listed)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        msg = f"{config.scales}: {'; '.join(faults)}"
        raise InputError(msg) from error
    morphology = config.morphology.model_copy(update={"sizes": merged})
    return config.model_copy(update={"morphology": morphology})


def _fill(config: FeaturesConfig, found: dict[str, FoundSize]) -> FeaturesConfig:
    return config.model_copy(update={"morphology": fill_sizes(config.morphology, found)})


def _read_kept(file: UPath, mark: str, plates: Mapping[str, str]) -> dict[str, Any] | None:
    """Sizes of an earlier run, when they are still those of its plates."""
    if not file.exists():
        return None
    kept = read_json(file, "file of sizes", f"remove {file} to find the sizes anew")
    if not isinstance(kept, dict) or kept.get("made_with") != mark:
        return None
    earlier: dict[str, str] = kept["plates"]
    there = [name for name in earlier if name in plates]
    return kept if there and all(plates[name] == earlier[name] for name in there) else None


def _read_fields(
    config: FeaturesConfig,
    readers: Sequence[PlateReader],
    chosen: Mapping[str, Chosen],
    unread: set[str],
) -> Iterator[FieldPlanes]:
    """Fields spread over all plates, in whatever order they are named, stain beside nuclei."""
    share = max(-(-_FIELDS // len(readers)), 2)
    step = max(1, -(-len(readers) * share // _MOST_FIELDS))
    for reader in sorted(readers, key=lambda item: item.name)[::step]:
        channels = choose_channels(config, reader)
        for path, time in spread_places(reader, chosen[reader.name], channels.main, share):
            try:
                yield _read_field(
                    config.morphology, reader, channels, chosen[reader.name], path, time
                )
            except ImageReadError as error:  # the field's own row in the problems says so
                if error.reason != col.Reason.NOT_ACQUIRED:
                    unread.add(path)


def _read_field(
    settings: MorphologyConfig,
    reader: PlateReader,
    channels: Channels,
    chosen: Chosen,
    path: str,
    time: int,
) -> FieldPlanes:
    def read(channel: int) -> Any:  # noqa: ANN401
        plane = read_chosen(reader, path, channel, chosen.plane, time)
        return fill_blank(_crop_middle(plane), settings.tuning.blank)[0]

    stain = read(channels.main)
    if isinstance(settings.assay, Neurons):
        stain = show_objects(stain, settings, reader.pixel_size_um)
    nuclear = None if channels.nuclei is None else read(channels.nuclei)
    return FieldPlanes(stain, nuclear, reader.name, reader.pixel_size_um)


def _crop_middle(plane: NDArray[Any]) -> NDArray[Any]:
    spare = [max(0, length - _MOST_SIDE_PX) // 2 for length in plane.shape]
    return plane[tuple(slice(cut, cut + _MOST_SIDE_PX) for cut in spare)]


def _list_doubts(found: Mapping[str, FoundSize], file: UPath) -> tuple[Problem, ...]:
    return tuple(
        Problem(
            stage="features",
            file=str(file),
            reason=col.Reason.DOUBTFUL,
            message=f"{_tell_doubts(name, size)}. Look with --try 6, then give {_flag(name, size)}",
            kept=True,
        )
        for name, size in found.items()
        if size.doubts and not size.is_only_few
    )


def _tell_doubts(name: str, size: FoundSize) -> str:
    told = "; ".join(size.doubts)
    return f"{name.replace('_', ' ')} {size.value:g} {_UNITS[size.unit]}: {told}"


def _flag(name: str, size: FoundSize) -> str:
    return f"--{name.split('_', maxsplit=1)[0]}-{size.unit}"


def _describe(settings: MorphologyConfig, found: Mapping[str, FoundSize]) -> dict[str, str]:
    """Say what sizes are, what they rest on, and which are in doubt."""
    words = {}
    for name in SIZE_NAMES:
        title = name.replace("_", " ")
        if (size := found.get(name)) is not None:
            unit = _UNITS[size.unit]
            words[title] = f"{size.value:g} {unit} ({size.low:g} to {size.high:g}; found)"
            continue
        for unit, shown in _UNITS.items():
            if (value := getattr(settings.sizes, f"{name}_{unit}")) is not None:
                words[title] = f"{value:g} {shown} (given)"
    doubted = {name: size for name, size in found.items() if size.doubts}
    if doubted:
        told = ". ".join(_tell_doubts(name, size) for name, size in doubted.items())
        flags = ", ".join(_flag(name, size) for name, size in doubted.items())
        words["doubtful sizes"] = f"{told}. Look with --try 6, then give {flags}"
    return words
