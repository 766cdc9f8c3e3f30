"""Any naming at all, as a regular expression with named groups that the user gives."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hcs.domain.wells import PlateFormat, Well
from hcs.io.layouts.base import Listing, NameFields, Sidecar, fields_from, file_name


@dataclass(frozen=True)
class NamedGroups:
    """Files whose whole relative path, or whole name without folders, matches one expression.

    ``well`` is the well of all files, where names do not tell it.
    """

    pattern: re.Pattern[str]
    well: Well | None = None
    kind: str = "regex"
    title: str = "regular expression"
    example: str = ""
    multipage: bool = True

    def parse(self, path: str) -> NameFields | None:
        """Read one relative path; None when it does not match, or a group is no well or number."""
        match = self.pattern.fullmatch(path) or self.pattern.fullmatch(file_name(path))
        if match is None:
            return None
        groups = match.groupdict()
        return fields_from(groups if self.well is None else {**groups, "well": self.well.name})

    def ignores(self, path: str) -> bool:  # noqa: ARG002  (nothing is known of these files)
        """No file is known to be something else."""
        return False

    def on_plate(self, plate_format: PlateFormat) -> NamedGroups:  # noqa: ARG002  (names the wells)
        """Return itself: an expression names its wells."""
        return self

    def sidecar(self, listing: Listing) -> Sidecar | None:  # noqa: ARG002
        """No metadata file is known."""
        return None
