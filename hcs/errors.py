"""Every error that hcs raises on purpose; each also is the matching built-in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class HcsError(Exception):
    """Base of all errors raised on purpose; the message says what to do."""


class InputError(HcsError, ValueError):
    """A value, file or option that was given cannot be used."""


class ChoiceError(InputError):
    """There are several planes or time points and it was not said which, or not one that is."""


class NotFoundError(HcsError, FileNotFoundError):
    """A file, store or folder that was asked for does not exist."""


class UnknownNameError(HcsError, LookupError):
    """A name that was asked for does not exist; the message lists those that do."""

    def __init__(self, kind: str, asked: object, where: str, existing: Sequence[object]) -> None:
        listed = ", ".join(repr(name) for name in existing) or "none"
        super().__init__(f"no {kind} {asked!r}; {where} has {listed}")
        self._arguments = (kind, asked, where, tuple(existing))

    def __reduce__(self) -> tuple[type[UnknownNameError], tuple[object, ...]]:
        """Rebuild from the parts, so that the error crosses process borders."""
        return (type(self), self._arguments)


class ImageReadError(HcsError, OSError):
    """One image could not be read or has impossible content.

    Attributes
    ----------
    reason
        A short code that is the same for all images with the same fault, see
        :class:`hcs.domain.columns.Reason`.
    """

    def __init__(self, message: str, reason: str = "unreadable") -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[type[ImageReadError], tuple[str, str]]:
        """Keep the reason when the error crosses process borders."""
        return (type(self), (str(self), self.reason))


class SplitError(HcsError, ValueError):
    """A split cannot be built as asked, or would share a clone or donor between roles."""


class WeightsError(HcsError, FileNotFoundError):
    """Network weights are absent or do not fit the backbone."""


class StaleError(HcsError, RuntimeError):
    """Two inputs do not belong together (for example a bank and splits of another cohort)."""


class LockedError(HcsError, BlockingIOError):
    """Another run is writing the same output, or reads what would be written."""


class StorageError(HcsError, OSError):
    """The disk is full, read-only, or does not take the name; said with what to do."""


class MemoryBudgetError(HcsError, MemoryError):
    """A step needs more memory than there is; said before it starts."""


class WorkerError(HcsError, RuntimeError):
    """A unit of work failed on a worker for a reason that is not the data's."""


class VersionError(HcsError, RuntimeError):
    """A worker runs another hcs than the command."""


class MissingExtraError(HcsError, ImportError):
    """An optional package is needed for what was asked."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of an input file: where it is, what stands there, what was expected."""

    file: str
    message: str
    row: int | None = None
    column: str | None = None
    value: str | None = None
    expected: str | None = None

    def __str__(self) -> str:
        """Format as one line: ``file, row 3, column 'Well': message (found 'Z9'; expected …)``."""
        place = self.file
        if self.row is not None:
            place += f", row {self.row}"
        if self.column is not None:
            place += f", column {self.column!r}"
        found = [] if self.value is None else [f"found {self.value!r}"]
        wanted = [] if self.expected is None else [f"expected {self.expected}"]
        details = "; ".join(found + wanted)
        return f"{place}: {self.message}" + (f" ({details})" if details else "")


_SHOWN_FAULTS = 50
"""Faults that a message lists: a wrong column of 100,000 rows is one mistake."""


class FaultsError(InputError):
    """All faults of one input at once.

    Attributes
    ----------
    faults
        Every fault found, in file order.
    """

    def __init__(self, what: str, faults: Sequence[Fault]) -> None:
        self.what = what
        self.faults = tuple(faults)
        count = len(self.faults)
        heading = f"{what}: {count} fault{'s' if count != 1 else ''}"
        shown = [str(fault) for fault in self.faults[:_SHOWN_FAULTS]]
        if count > _SHOWN_FAULTS:
            shown.append(f"… and {count - _SHOWN_FAULTS:,} more")
        super().__init__("\n  ".join([heading, *shown]))

    def __reduce__(self) -> tuple[type[FaultsError], tuple[str, tuple[Fault, ...]]]:
        """Keep the faults when the error crosses process borders."""
        return (type(self), (self.what, self.faults))
