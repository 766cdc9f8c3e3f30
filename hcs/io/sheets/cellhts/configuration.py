"""Reads what the wells of a cellHTS2 screen hold: the rules of its plate configuration."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import pandas as pd
from upath import UPath

from hcs.domain import columns as col
from hcs.domain.plate import PertType
from hcs.errors import Fault, FaultsError, InputError
from hcs.io.files.patterns import UserPattern
from hcs.io.sheets.reading.text import decode

_KIND_OF: Final = {
    "sample": PertType.TREATMENT,
    "neg": PertType.NEGCON,
    "pos": PertType.POSCON,
    "other": PertType.EMPTY,
    "empty": PertType.EMPTY,
}

_SHOWN: Final = 20


class _Rule(NamedTuple):
    """A line of the configuration."""

    line: int
    of: str
    well: str
    content: str


def read_configuration(
    file: UPath, table: pd.DataFrame, kinds: Mapping[str, PertType]
) -> list[str]:
    """Read the kind of every well: of the lines that fit its plate and name, the last counts.

    Parameters
    ----------
    file
        ``Plateconf.txt`` with columns Plate (or Batch, in older files), Well and Content; may be
        absent: all wells are then samples.
    table
        ``plate``, ``list batch`` and ``Metadata_Well`` of ``N`` wells.
    kinds
        What further words of Content mean.

    Returns
    -------
    list of str
        Kind of every well, ``N``.

    Raises
    ------
    FaultsError
        With every word that has no meaning, every pattern that cannot be read or fits no well, and
        the wells that no line fits.
    """
    if not file.is_file():
        return [PertType.TREATMENT.value] * len(table)
    lines = [line.split("\t") for line in decode(file.read_bytes()).splitlines()]
    key, rules = _read_rules(lines)
    meaning = _KIND_OF | {word.casefold(): kind for word, kind in kinds.items()}
    wells = [str(name) for name in table[col.WELL].unique()]
    if faults := _find_faults(file, rules, meaning, kinds, wells):
        raise FaultsError(f"plate configuration {file}", faults)
    pairs = table[[key, col.WELL]].drop_duplicates()
    found = {
        (of, well): _last_that_fits(rules, of, well) for of, well in pairs.itertuples(index=False)
    }
    if bare := [pair for pair, content in found.items() if content is None]:
        named = "plate" if key == "plate" else "batch"
        faults = [
            Fault(str(file), "no line says what the well holds", value=f"{named} {of} {well}")
            for of, well in bare[:_SHOWN]
        ]
        raise FaultsError(f"plate configuration {file}", faults)
    of_pair = {pair: meaning[str(content).casefold()].value for pair, content in found.items()}
    return [of_pair[pair] for pair in zip(table[key], table[col.WELL], strict=True)]


def _read_rules(lines: Sequence[Sequence[str]]) -> tuple[str, list[_Rule]]:
    """Column of the table that the first pattern of the rules is for, and the rules."""
    for number, cells in enumerate(lines):
        names = [cell.strip().casefold() for cell in cells]
        if names[0] not in {"plate", "batch"} or not {"well", "content"} <= set(names):
            continue
        places = (0, names.index("well"), names.index("content"))
        rules = [
            _Rule(line, *(row[place].strip() for place in places))
            for line, row in enumerate(lines[number + 1 :], start=number + 2)
            if len(row) > max(places)
        ]
        return ("plate" if names[0] == "plate" else "list batch"), rules
    return "plate", []


def _find_faults(
    file: UPath,
    rules: Sequence[_Rule],
    meaning: Mapping[str, PertType],
    kinds: Mapping[str, PertType],
    wells: Iterable[str],
) -> list[Fault]:
    """List what cannot be understood of the rules."""
    if not rules:
        return [Fault(str(file), "no lines below 'Plate, Well, Content'")]
    used = {rule.content: rule.line for rule in reversed(rules)}
    known = {word.casefold() for word in used}
    faults = [
        Fault(
            str(file), "unknown content", line, "Content", word,
            f"{', '.join(_KIND_OF)}, or a word that --kind explains (--kind {word}=negcon)",
        )
        for word, line in sorted(used.items(), key=lambda item: item[1])
        if word.casefold() not in meaning
    ]  # fmt: skip
    faults += [
        Fault(str(file), "no such content", value=word, expected=", ".join(used))
        for word in kinds
        if word.casefold() not in known
    ]
    for rule in rules:
        try:
            fits = any(_fits(rule.well, well) for well in wells)
            _fits(rule.of, "1")
        except InputError as error:
            faults.append(Fault(str(file), str(error), rule.line))
            continue
        if not fits:
            faults.append(
                Fault(
                    str(file), "fits no well", rule.line, "Well", rule.well,
                    "*, or an expression for whole names: B.* is row B",
                )
            )  # fmt: skip
    return faults[:_SHOWN]


def _last_that_fits(rules: Sequence[_Rule], of: str, well: str) -> str | None:
    fitting = (r for r in reversed(rules) if _fits(r.of, of) and _fits(r.well, well))
    return next((rule.content for rule in fitting), None)


def _fits(pattern: str, text: str) -> bool:
    """Match ``*`` for all, else a regular expression for the whole, in any case of letters."""
    return pattern == "*" or _compile(pattern).match_whole(text) is not None


@functools.lru_cache(maxsize=4096)
def _compile(pattern: str) -> UserPattern:
    """Compile once: the rules are tried on every well, and their time is counted together."""
    return UserPattern(pattern, ignore_case=True)
