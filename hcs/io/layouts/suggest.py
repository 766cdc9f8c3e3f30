"""Says what a stranger can try when no layout fits: an expression, a plate, another program."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Final

from hcs.io.containers.opening import is_container
from hcs.io.layouts.base import CONTAINERS, file_name

# The well comes first; what stands before a number says what the number is.
_WELL: Final = re.compile(r"(?<![A-Za-z0-9])(?P<row>[A-P])(?P<column>\d{1,2})(?![0-9])")
_WELL_NUMBER: Final = re.compile(r"(?<![A-Za-z])(?:[Ww]ell_?|[Ww])(?P<number>\d{3,5})(?![0-9])")
_NUMBERS: Final = (
    ("site", re.compile(r"(?<![A-Za-z])(?:site|field|fld|pos|s|f|p|xy)[_ -]?(\d+)", re.IGNORECASE)),
    ("channel", re.compile(r"(?<![A-Za-z])(?:channel|chan|ch|c|w)[_ -]?(\d+)", re.IGNORECASE)),
    ("z", re.compile(r"(?<![A-Za-z])(?:zstep|slice|z)[_ -]?(\d+)", re.IGNORECASE)),
    ("t", re.compile(r"(?<![A-Za-z])(?:time|tp|t)[_ -]?(\d+)", re.IGNORECASE)),
)
_DIGITS: Final = re.compile(r"\d+")
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9+-]*")

_FLEX: Final = r"(?P<row>\d{3})(?P<column>\d{3})(?P<site>\d{3})\.flex"

_SAMPLE: Final = 200
"""Names that an expression is tried on."""


def suggest_pattern(names: Iterable[str]) -> str | None:
    r"""Build a regular expression that describes these names as far as the first one shows.

    What is a word where others differ becomes the channel.

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
    known = list(itertools.islice(names, _SAMPLE))
    groups = _find_groups(known[0]) if known else {}
    if not groups:
        return None
    pattern = _build(known[0], groups)
    if _count(pattern, known) < len(known) and not any("<channel>" in g for g in groups.values()):
        words = [m.span() for m in _WORD.finditer(known[0].rpartition(".")[0])]
        free = [(a, b) for a, b in words if not any(c < b and a < d for c, d in groups)]
        tried = [_build(known[0], groups | {span: r"(?P<channel>[^_]+)"}) for span in free]
        pattern = max([pattern, *tried], key=lambda each: _count(each, known))
    return pattern if _count(pattern, known[:1]) else None


def _find_groups(name: str) -> dict[tuple[int, int], str]:
    """Find what the numbers of a name are, by their places; empty when it has no well."""
    groups: dict[tuple[int, int], str] = {}
    if number := _WELL_NUMBER.search(name):  # first, since P01 behind it is a position
        groups[number.span("number")] = r"(?P<well_number>\d+)"
    elif well := _WELL.search(name):
        groups[well.span()] = r"(?P<row>[A-P])(?P<column>\d+)"
    else:
        return {}
    for group, expression in _NUMBERS:
        for match in expression.finditer(name):
            if not any(a < match.end(1) and match.start(1) < b for a, b in groups):
                groups[match.span(1)] = rf"(?P<{group}>\d+)"
                break
    return groups


def _build(name: str, groups: Mapping[tuple[int, int], str]) -> str:
    pattern, at = "", 0
    for (start, end), text in sorted(groups.items()):
        pattern += _escape(name[at:start]) + text
        at = end
    return pattern + _escape(name[at:])


def _count(pattern: str, names: Sequence[str]) -> int:
    expression = re.compile(pattern)
    return sum(expression.fullmatch(name) is not None for name in names)


def _escape(text: str) -> str:
    """Match what stands between the groups; any number may stand where one does."""
    return r"\d+".join(re.escape(piece).replace(r"\ ", " ") for piece in _DIGITS.split(text))


def explain_containers(paths: Iterable[str]) -> str | None:
    """Say what to do with containers of microscope makers that are not read.

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
    told = " and ".join(
        f"{count} {CONTAINERS[suffix]} file{'' if count == 1 else 's'}"
        for suffix, count in sorted(kinds.items())
    )
    first = next(p for p in paths if PurePosixPath(p).suffix.lower() in kinds)
    if all(map(is_container, kinds)):
        return (
            f"{told}, such as {file_name(first)!r}: no field of a plate by what its metadata tell; "
            "if it is one, read it by itself with --layout container, which says why it is not, or "
            "describe it with --layout regex"
        )
    if set(kinds) == {".flex"}:
        return (
            f"{told}, such as {file_name(first)!r}: these are TIFFs of several pages, whose names "
            f"are row, column and field; try --layout 'regex:{_FLEX}' --pages channel, and "
            "bioformats2raw where their pixels are packed"
        )
    return (
        f"{told}, such as {file_name(first)!r}: containers of the microscope's maker, "
        "which hcs does not read: convert them to an OME-Zarr plate with bioformats2raw, or export "
        "OME-TIFF or TIFF from the microscope's program"
    )
