"""Says what a stranger can try when no layout fits: an expression, a plate, another program."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Final

from hcs.io.layouts.base import CONTAINERS, file_name

# The well comes first; what stands before a number says what the number is.
_WELL: Final = re.compile(r"(?<![A-Za-z0-9])(?P<row>[A-Pa-p])(?P<column>\d{1,2})(?![0-9])")
_WELL_NUMBER: Final = re.compile(r"(?<![A-Za-z])(?:[Ww]ell_?|[Ww])(?P<number>\d{3,5})(?![0-9])")
_NUMBERS: Final = (
    ("site", re.compile(r"(?<![A-Za-z])(?:site|field|fld|pos|s|f|p|xy)[_ -]?(\d+)", re.IGNORECASE)),
    ("channel", re.compile(r"(?<![A-Za-z])(?:channel|chan|ch|c|w)[_ -]?(\d+)", re.IGNORECASE)),
    ("z", re.compile(r"(?<![A-Za-z])(?:zstep|slice|z)[_ -]?(\d+)", re.IGNORECASE)),
    ("t", re.compile(r"(?<![A-Za-z])(?:time|tp|t)[_ -]?(\d+)", re.IGNORECASE)),
)
_HARD: Final = re.compile(r"\d+")


def suggest_pattern(names: Iterable[str]) -> str | None:
    r"""Build a regular expression that describes the first of these names, with its groups.

    Parameters
    ----------
    names
        File names without folders.

    Returns
    -------
    str or None
        An expression for ``--layout regex:…``; None when no well is seen in the name.

    Examples
    --------
    >>> suggest_pattern(["exp_B07_s2_c1.tif"])
    'exp_(?P<row>[A-P])(?P<column>\\\\d+)_s(?P<site>\\\\d+)_c(?P<channel>\\\\d+)\\\\.tif'
    """
    name = next(iter(names), None)
    if name is None:
        return None
    groups: dict[tuple[int, int], str] = {}
    if well := _WELL.search(name):
        groups[well.span()] = r"(?P<row>[A-P])(?P<column>\d+)"
    elif number := _WELL_NUMBER.search(name):
        groups[number.span("number")] = r"(?P<well_number>\d+)"
    else:
        return None
    for group, expression in _NUMBERS:
        for match in expression.finditer(name):
            if not any(a < match.end(1) and match.start(1) < b for a, b in groups):
                groups[match.span(1)] = rf"(?P<{group}>\d+)"
                break
    pattern, at = "", 0
    for (start, end), text in sorted(groups.items()):
        pattern += _escape(name[at:start]) + text
        at = end
    pattern += _escape(name[at:])
    return pattern if re.fullmatch(pattern, name, re.IGNORECASE) else None


def _escape(text: str) -> str:
    """Match what stands between the groups; any number may stand where one does."""
    return r"\d+".join(re.escape(piece).replace(r"\ ", " ") for piece in _HARD.split(text))


def explain_containers(paths: Iterable[str]) -> str | None:
    """Say what to do with containers of microscope makers, which are not read here.

    Parameters
    ----------
    paths
        Relative paths of image files.

    Returns
    -------
    str or None
        A sentence; None where there are no containers.
    """
    found = Counter(PurePosixPath(path).suffix.lower() for path in paths)
    kinds = {suffix: count for suffix, count in found.items() if suffix in CONTAINERS}
    if not kinds:
        return None
    told = ", ".join(f"{count} {CONTAINERS[suffix]}" for suffix, count in sorted(kinds.items()))
    first = next(p for p in paths if PurePosixPath(p).suffix.lower() in kinds)
    return (
        f"{told} files, such as {file_name(first)!r}, are containers of the microscope's maker, "
        "which hcs does not read: convert them to an OME-Zarr plate with bioformats2raw, or export "
        "OME-TIFF or TIFF from the microscope's program"
    )
