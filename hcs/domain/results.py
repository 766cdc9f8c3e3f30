"""What a stage returns: what was done, what was skipped, what was wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from hcs.domain import columns as col
from hcs.domain.plate import Frozen
from hcs.errors import ImageReadError


class Problem(Frozen):
    """One fault of the data, a row of ``problems.parquet``.

    Attributes
    ----------
    stage
        Stage that met it.
    file
        Source file, or the path of the field inside the plate.
    reason
        A code, the same for all faults of a kind.
    message
        What was found, what was expected.
    kept
        Whether the image or well still went on to the output.
    """

    stage: str
    file: str
    reason: col.Reason
    message: str
    plate: str | None = None
    well: str | None = None
    site: int | None = None
    kept: bool = False

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Problem:
        """Build from a row of the problems table; the inverse of :meth:`row`."""
        site = row.get(col.SITE)
        return cls(
            stage=str(row["stage"]),
            file=str(row["file"]),
            reason=col.Reason(row["reason"]),
            message=str(row["message"]),
            plate=row.get(col.PLATE) or None,
            well=row.get(col.WELL) or None,
            site=None if site is None else int(site),
            kept=bool(row.get("kept", False)),
        )

    @classmethod
    def from_error(
        cls, error: ImageReadError, *, stage: str, file: str, plate: str, well: str, site: int
    ) -> Problem:
        """Build from the error of an image that cannot be used."""
        return cls(
            stage=stage,
            file=file,
            reason=col.Reason(error.reason),
            message=str(error),
            plate=plate,
            well=well,
            site=site,
        )

    def row(self) -> dict[str, Any]:
        """Return the row of the problems table."""
        return {
            "stage": self.stage,
            "file": self.file,
            col.PLATE: self.plate,
            col.WELL: self.well,
            col.SITE: self.site,
            "reason": self.reason.value,
            "message": self.message,
            "kept": self.kept,
        }


class StageResult(Frozen):
    """What one run of a stage did.

    Attributes
    ----------
    stage, out
        Which stage, and where its output lies.
    summary
        Facts to show, in order.
    n_run, n_skipped
        Units of work done now, and finished by an earlier run.
    problems
        Every fault met, also those of units that an earlier run finished.
    seconds
        Wall time of this run.
    settings
        All settings that can change the result, those that were left at their defaults too.
    written
        Whether there is an output: not after a dry run.
    """

    stage: str
    out: str
    summary: dict[str, str | int | float] = Field(default_factory=dict)
    n_run: int = 0
    n_skipped: int = 0
    problems: tuple[Problem, ...] = ()
    seconds: float = 0.0
    settings: dict[str, Any] = Field(default_factory=dict)
    written: bool = True
