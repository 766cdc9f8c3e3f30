"""A study folder as ``hcs run`` leaves it: each piece read once, or a sentence why it is absent."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, TypeVar

import pandas as pd
from pydantic import TypeAdapter
from upath import UPath

from hcs.domain import columns as col
from hcs.domain.config.planes import LastTime, OneTime
from hcs.domain.config.studies import StudyConfig
from hcs.domain.evaluation import Evaluation
from hcs.domain.plate import Frozen
from hcs.domain.probing import Probes
from hcs.domain.splits import Splits
from hcs.errors import ChoiceError, HcsError, NotFoundError
from hcs.io.bank import open_bank
from hcs.io.files import parquet
from hcs.io.files.paths import SIDECAR_SUFFIX, AnyPath, as_path
from hcs.io.imageset import ImageSet
from hcs.io.plates.reader import PlateReader
from hcs.io.stack import open_stack
from hcs.planes.times import keep_time
from hcs.report.made_by import Record, list_plate_records, read_json_provenance

log = logging.getLogger(__name__)

_T = TypeVar("_T")

_UNREADABLE: Final = (HcsError, OSError, ValueError, KeyError, TypeError)
"""What reading a damaged or foreign file raises; the page then says so and goes on."""

HISTORY_COLUMNS: Final = ("split", "epoch", "loss", "accuracy", "val_loss", "val_accuracy")

_STUDY: Final = "study.json"

_PIECES: Final = (
    _STUDY, "plates", "features.parquet", "splits.json", "stack.zarr", "bank.zarr", "models",
    "forest", "predictions.parquet", "evaluation.json", "probes.json", "hits.parquet",
)  # fmt: skip
"""What a page can be made of."""

DOSE_COLUMNS: Final = (
    col.MODEL, col.COMPOUND, "response", "status", "message", "at_zero", "at_infinity",
    "ec50_um", "ec50_um_low", "ec50_um_high", "hill",
)  # fmt: skip

HIT_COLUMNS: Final = (*col.WELL_KEY, col.MODEL, col.SCORE, col.ROBUST_Z, col.HIT, col.REASONS)


@dataclass(frozen=True, slots=True)
class Absent:
    """A piece of the study that is not there, or cannot be read; ``why`` is a sentence."""

    file: str
    why: str


class Planted(Frozen):
    """One row of ``planted.json``: what a simulated study was given and what came out."""

    quantity: str
    planted: str | float | None = None
    found: str | float | None = None
    unit: str | None = None
    note: str | None = None


@dataclass(frozen=True)
class Study:
    """One study, read lazily.

    Attributes
    ----------
    path
        The folder.
    """

    path: UPath

    def _piece(self, file: str, maker: str, read: Callable[[UPath], _T]) -> _T | Absent:
        """Read a piece, or say why not."""
        path = self.path / file
        if not path.exists():
            return Absent(file, f"{file} is not in the study folder; {maker} writes it.")
        try:
            return read(path)
        except _UNREADABLE as error:
            log.warning("cannot read %s: %s", path, error)
            return Absent(file, f"{file} cannot be read: {error}")

    def _table(self, file: str, columns: Sequence[str] = ()) -> pd.DataFrame | Absent:
        """Read a table of hcs hits."""
        return self._piece(file, "hcs hits", lambda path: parquet.read_table(path, columns=columns))

    @property
    def name(self) -> str:
        """Name by the study file, else of the folder."""
        config = self.config
        return self.path.name if isinstance(config, Absent) else config.name

    @cached_property
    def config(self) -> StudyConfig | Absent:
        """The study as it was run."""
        return self._piece(
            "study.json",
            "hcs run",
            lambda path: StudyConfig.model_validate_json(path.read_bytes()),
        )

    @cached_property
    def plates(self) -> tuple[PlateReader, ...]:
        """All plates that can be read, by name."""
        folder = self.path / "plates"
        if not folder.is_dir():
            return ()
        stores = sorted(path for path in folder.iterdir() if path.suffix == ".zarr")
        found = (self._piece(f"plates/{store.name}", "hcs ingest", _plate) for store in stores)
        return tuple(reader for reader in found if not isinstance(reader, Absent))

    @cached_property
    def roles(self) -> Mapping[str, str]:
        """``cohort`` or ``screen`` for every plate that the study file or the hits name."""
        roles: dict[str, str] = {}
        if isinstance(self.hits, pd.DataFrame):
            roles.update(dict.fromkeys(self.hits[col.PLATE].astype(str), "screen"))
        if isinstance(self.config, StudyConfig):
            roles.update({plate.name: plate.role for plate in self.config.plates})
        return roles

    def use_of(self, plate: str) -> str:
        """Say what a plate was for."""
        if plate in self.roles:
            return self.roles[plate]
        cohort = self.cohort
        trained = isinstance(cohort, pd.DataFrame) and plate in set(cohort[col.PLATE])
        return "cohort" if trained else "not used"

    @property
    def has_screen(self) -> bool:
        """Whether wells were scored, or were to be; unknown without hits and study file."""
        if isinstance(self.hits, Absent) and isinstance(self.config, StudyConfig):
            return any(plate.role == "screen" for plate in self.config.plates)
        return True

    @cached_property
    def images(self) -> pd.DataFrame | Absent:
        """One row an image with its metadata: of the plates, else of the features."""
        frames = [reader.images for reader in self.plates]
        if not frames:
            if isinstance(self.features, pd.DataFrame):
                return self.features
            return Absent("plates", "There is no plate in plates/; hcs ingest writes them.")
        return pd.concat(frames, ignore_index=True)

    @cached_property
    def cohort(self) -> pd.DataFrame | Absent:
        """The images that have a group (clone) and a class and do not stand on a screened plate."""
        images = self.images
        if isinstance(images, Absent):
            return images
        if not {self.group_by, self.label, col.PLATE} <= set(images.columns):
            return Absent("plates", f"The plates name no {self.group_by} and {self.label}.")
        roles = images[col.PLATE].astype(str).map(dict(self.roles)).fillna("cohort")
        known = images[self.group_by].notna() & images[self.label].notna()
        if not isinstance(self.splits, Absent):
            known &= images[self.label].astype(str).isin(self.splits.classes)
            names = [group.name for group in self.splits.groups]
            known &= images[self.group_by].astype(str).isin(names)
        kept = images[known & (roles == "cohort")]
        if kept.empty:
            return Absent("plates", f"No image has both {self.group_by} and {self.label}.")
        return kept

    @cached_property
    def features_over_time(self) -> pd.DataFrame | Absent:
        """One row an image and time point with what was measured on it."""
        return self._piece("features.parquet", "hcs features", parquet.read_table)

    @property
    def time(self) -> OneTime:
        """Time point of a time-lapse that classifiers saw, by the study file; else the last."""
        said = self.config.time if isinstance(self.config, StudyConfig) else None
        return said or LastTime()

    @cached_property
    def features(self) -> pd.DataFrame | Absent:
        """One row an image with what was measured on it, at one time point."""
        try:
            found = self.features_over_time
            if isinstance(found, Absent):
                return found
            return keep_time(found, self.time, "features.parquet")
        except ChoiceError as error:
            return Absent("features.parquet", str(error))

    @cached_property
    def splits(self) -> Splits | Absent:
        """The splits."""
        return self._piece(
            "splits.json",
            "hcs splits",
            lambda path: Splits.read_json(path.read_text(encoding="utf-8"), where="splits.json"),
        )

    @cached_property
    def stack(self) -> ImageSet | Absent:
        """The normalized images."""
        return self._piece("stack.zarr", "hcs stack", lambda path: _touch_images(open_stack(path)))

    @cached_property
    def bank(self) -> ImageSet | Absent:
        """The feature bank."""
        return self._piece("bank.zarr", "hcs embed", lambda path: _touch_images(open_bank(path)))

    @cached_property
    def history(self) -> pd.DataFrame | Absent:
        """Loss and accuracy by split and epoch."""
        return self._piece(
            "models/history.parquet",
            "hcs train",
            lambda path: parquet.read_table(path, columns=HISTORY_COLUMNS),
        )

    @cached_property
    def evaluation(self) -> Evaluation | Absent:
        """How good the classifiers are."""
        return self._piece(
            "evaluation.json", "hcs evaluate", lambda path: Evaluation.read_json(path.read_bytes())
        )

    @cached_property
    def probes(self) -> Probes | Absent:
        """What else than biology the scores could mean."""
        return self._piece(
            "probes.json", "hcs run", lambda path: Probes.read_json(path.read_bytes())
        )

    @cached_property
    def hits(self) -> pd.DataFrame | Absent:
        """One row a model and well of the screened plates."""
        return self._table("hits.parquet", HIT_COLUMNS)

    @cached_property
    def quality(self) -> pd.DataFrame | Absent:
        """One row a screened plate."""
        return self._table("plate_quality.parquet", (col.PLATE,))

    @cached_property
    def doses(self) -> pd.DataFrame | Absent:
        """One row a compound with its concentration-response curve."""
        return self._table("dose_fits.parquet", DOSE_COLUMNS)

    @cached_property
    def compounds(self) -> pd.DataFrame | Absent:
        """One row a compound and concentration, replicates combined."""
        return self._table("compounds.parquet", (col.COMPOUND, col.HIT))

    @cached_property
    def batches(self) -> pd.DataFrame | Absent:
        """One row a batch of screened plates."""
        return self._table("batch_quality.parquet")

    @cached_property
    def positions(self) -> pd.DataFrame | Absent:
        """Corrections of position effects that were tried, where values follow their place."""
        return self._table("position_choices.parquet")

    @cached_property
    def power(self) -> pd.DataFrame | Absent:
        """Effects that a screen like this one finds, by number of replicates."""
        return self._table("power.parquet")

    @cached_property
    def problems(self) -> pd.DataFrame | Absent:
        """Everything that was wrong with the data: the study's table, else those of its outputs."""
        found = self._piece(
            "problems.parquet",
            "hcs run",
            lambda path: parquet.read_table(path, columns=col.PROBLEM_COLUMNS),
        )
        if not isinstance(found, Absent) or (self.path / "problems.parquet").exists():
            return found
        frames = [parquet.read_table(path) for path in self._sidecar_problems()]
        return pd.concat(frames, ignore_index=True) if frames else found

    def _sidecar_problems(self) -> Iterator[UPath]:
        for folder in (self.path, self.path / "plates"):
            if folder.is_dir():
                for sidecar in sorted(folder.glob("*" + SIDECAR_SUFFIX)):
                    if (sidecar / "problems.parquet").exists():
                        yield sidecar / "problems.parquet"

    @cached_property
    def planted(self) -> tuple[Planted, ...] | Absent:
        """What was planted into a simulated study, and what was found."""
        adapter = TypeAdapter(tuple[Planted, ...])
        return self._piece(
            "planted.json", "hcs demo", lambda path: adapter.validate_json(path.read_bytes())
        )

    @property
    def group_by(self) -> str:
        """Column of the group that splits keep together."""
        source = self.evaluation if isinstance(self.splits, Absent) else self.splits
        return col.CLONE if isinstance(source, Absent) else source.group_by

    @property
    def label(self) -> str:
        """Column of the class."""
        source = self.evaluation if isinstance(self.splits, Absent) else self.splits
        return col.DIAGNOSIS if isinstance(source, Absent) else source.label

    @property
    def positive(self) -> str | None:
        """Class whose probability is the score, where known."""
        source = self.evaluation if isinstance(self.splits, Absent) else self.splits
        return None if isinstance(source, Absent) else source.positive

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """All classes, the positive one last."""
        source = self.evaluation if isinstance(self.splits, Absent) else self.splits
        if not isinstance(source, Absent):
            return (*(c for c in source.classes if c != source.positive), source.positive)
        if isinstance(self.cohort, Absent):
            return ()
        return tuple(sorted(self.cohort[self.label].astype(str).unique()))

    @cached_property
    def records(self) -> tuple[Record, ...]:
        """Provenance of every output that has one, in the order of the stages."""
        found = [record for reader in self.plates for record in list_plate_records(reader)]
        for file in ("features.parquet", "predictions.parquet", "hits.parquet"):
            found += self._record(file, parquet.read_provenance)
        for file in ("models/manifest.json", "forest/manifest.json"):
            found += self._record(file, read_json_provenance)
        found += [
            Record(file, piece.provenance)
            for file, piece in (
                ("splits.json", self.splits),
                ("stack.zarr", self.stack),
                ("bank.zarr", self.bank),
                ("evaluation.json", self.evaluation),
                ("probes.json", self.probes),
            )
            if not isinstance(piece, Absent) and piece.provenance
        ]
        return tuple(sorted(found, key=lambda record: str(record.provenance.get("started", ""))))

    def _record(self, file: str, read: Callable[[UPath], dict[str, Any]]) -> list[Record]:
        found = self._piece(file, "hcs run", read)
        return [Record(file, found)] if not isinstance(found, Absent) and found else []


def open_study(path: AnyPath) -> Study:
    """Open a study folder.

    Raises
    ------
    NotFoundError
        When there is no such folder, or nothing in it that the page could show.
    """
    folder = as_path(path)
    if not folder.is_dir():
        msg = f"study folder {folder} does not exist; hcs run study.yaml makes one"
        raise NotFoundError(msg)
    if not any((folder / name).exists() for name in _PIECES):
        others = ", ".join(name for name in _PIECES if name != _STUDY)
        msg = (
            f"{folder} holds nothing to report: no study.json of hcs run, and none of {others}. "
            "Name the folder that hcs run wrote, or put outputs of single commands there under "
            "these names"
        )
        raise NotFoundError(msg)
    return Study(folder)


def _plate(path: UPath) -> PlateReader:
    reader = PlateReader(str(path))
    _ = reader.metadata, reader.images
    return reader


def _touch_images(images: ImageSet) -> ImageSet:
    """Touch what the page needs, so that a damaged store is met here."""
    _ = images.n_images, images.frame
    return images
