"""Numbers and names as a reader wants them: rounded, with units, without column prefixes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

import pandas as pd
from markupsafe import Markup

from hcs.domain import columns as col
from hcs.ops import morphology
from hcs.words.english import make_plural

NONE: Final = "–"
"""Stands where a number is not defined."""

_NOUNS: Final = {
    col.PLATE: "plate",
    col.WELL: "well",
    col.CLONE: "clone",
    col.DONOR: "donor",
    col.DIAGNOSIS: "diagnosis",
    col.BATCH: "batch",
    col.COMPOUND: "compound",
    col.CONCENTRATION_UM: "concentration (µM)",
    col.PERT_TYPE: "kind of well",
}

_MODELS: Final = {"cnn": "image network", "forest": "random forest"}

_FEATURES: Final = {
    col.N_CELLS: "cells per image",
    morphology.MEAN_SOMA_AREA: "mean soma area",
    morphology.TOTAL_LENGTH: "total neurite length per image",
    morphology.LENGTH_PER_CELL: "neurite length per cell",
}

_UNITS: Final = {"_um": "µm", "_um2": "µm²", "_px": "px", "_px2": "px²"}

_SPACE: Final = "\u00a0"
"""Keeps a number and what belongs to it on one line."""

_SMALLEST_P: Final = 0.001


def is_missing(value: object) -> bool:
    """Whether a number or text is absent (None, NaN, pandas' NA)."""
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def number(value: object, digits: int = 2) -> str:
    """Write a number with a fixed count of decimals; a dash when there is none."""
    if is_missing(value):
        return NONE
    return f"{float(value):,.{digits}f}".replace("-", "−")  # type: ignore[arg-type]


def significant(value: object, digits: int = 3) -> str:
    """Write a number with so many significant digits, never in exponent form below 10⁷."""
    if is_missing(value):
        return NONE
    size = abs(float(value))  # type: ignore[arg-type]
    if size == 0 or not math.isfinite(size):
        return number(value, 0)
    return number(value, max(0, digits - 1 - math.floor(math.log10(size))))


def trim_number(value: object, digits: int = 3) -> str:
    """Write a number with at most so many significant digits and no idle zeros: 8, 0.65, 2,098."""
    if is_missing(value):
        return NONE
    exact = float(value)  # type: ignore[arg-type]
    if exact.is_integer():
        return number(exact, 0)
    words = significant(exact, digits)
    return words.rstrip("0").rstrip(".") if "." in words else words


def plus_minus(mean: object, sd: object, digits: int = 2) -> str:
    """``mean ± SD``; the mean alone when there is no SD."""
    if is_missing(mean) or is_missing(sd):
        return number(mean, digits)
    return f"{number(mean, digits)}{_SPACE}±{_SPACE}{number(sd, digits)}"


def span(low: object, high: object, digits: int = 2) -> str:
    """``low to high``, a dash when either is absent."""
    if is_missing(low) or is_missing(high):
        return NONE
    return f"{number(low, digits)}{_SPACE}to{_SPACE}{number(high, digits)}"


def p_value(p: object) -> str:
    """Write a p-value with two significant digits; ``< 0.001`` below that."""
    if is_missing(p):
        return NONE
    return "< 0.001" if float(p) < _SMALLEST_P else significant(p, 2)  # type: ignore[arg-type]


def percent(share: object) -> str:
    """Write a share as whole percent."""
    return NONE if is_missing(share) else f"{number(100 * float(share), 0)}%"  # type: ignore[arg-type]


def seconds(value: object) -> str:
    """Write a duration in s, min or h."""
    if is_missing(value):
        return NONE
    duration = float(value)  # type: ignore[arg-type]
    if duration < 90:
        return f"{significant(duration, 2)} s"
    if duration < 5400:
        return f"{duration / 60:.1f} min"
    return f"{duration / 3600:.1f} h"


def text(value: object) -> str:
    """Write a text; a dash when there is none."""
    return NONE if is_missing(value) or value == "" else str(value)


def count(n: int, thing: str) -> str:
    """``1 clone``, ``3 clones``, ``2 batches``."""
    return f"{n:,} {thing if n == 1 else make_plural(thing)}"


def noun(column: str) -> str:
    """Say what people call a table column: ``Metadata_Clone`` → clone."""
    return _NOUNS.get(column, column.removeprefix("Metadata_").replace("_", " "))


def model_title(model: str) -> str:
    """Say what people call a model of a study."""
    return _MODELS.get(model, model)


def capital(words: str) -> str:
    """First letter in upper case, the rest as it stands."""
    return words[:1].upper() + words[1:]


def feature(column: str) -> tuple[str, str]:
    """Name and unit of an image feature: ``Image_Soma_MeanArea_um2`` → mean soma area, µm²."""
    for ending, unit in _UNITS.items():
        if column.endswith(ending):
            stem = column.removesuffix(ending)
            return _FEATURES.get(stem, stem.removeprefix("Image_").replace("_", " ")), unit
    return _FEATURES.get(column, column.removeprefix("Image_").replace("_", " ")), ""


def with_unit(name: str, unit: str) -> str:
    """``mean soma area (µm²)``."""
    return f"{name} ({unit})" if unit else name


def cut_name(name: object, length: int = 24) -> str:
    """Cut a name so that it fits beside a chart."""
    words = str(name)
    return words if len(words) <= length else words[: length - 1] + "…"


def strong(words: object) -> Markup:
    """Set words in bold; they are escaped first."""
    return Markup("<strong>{}</strong>").format(words)


def join_sentences(parts: Iterable[str]) -> Markup:
    """Join sentences, escaping those that are plain."""
    return Markup(" ").join(part for part in parts if part)
