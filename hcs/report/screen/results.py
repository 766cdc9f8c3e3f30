"""The screen: plates as heat maps, hits with reasons, plate quality, concentration curves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

import pandas as pd
from markupsafe import Markup

from hcs.domain import columns as col
from hcs.domain.wells import PlateFormat
from hcs.report import wording
from hcs.report.blocks import (
    Block,
    Chart,
    Charts,
    Column,
    Folded,
    Heading,
    Note,
    Paragraph,
    Section,
    Table,
)
from hcs.report.charts import dose_curves, plate_maps
from hcs.report.study import Absent, Study

_MAX_PLATES: Final = 24
_MAX_HITS: Final = 300
_MAX_CURVES: Final = 24


def plates(study: Study, pages: str = "") -> Section:
    """Return the section with the heat maps of every screened plate.

    `pages` is the address of the page that leads to a page a plate.
    """
    title = "Screened plates"
    hits = study.hits
    if isinstance(hits, Absent):
        return Section("plates", title, (Note("missing", hits.why),))
    what = f" (0 to 1, the probability of {study.positive})" if study.positive else ""
    blocks: list[Block] = [
        Paragraph(
            f"One square a well; point at it for its content. Score: mean of its images{what}. "
            "Robust z: how many robust standard deviations the well lies from the negative "
            "controls, blue below and red above them; colors end at ± 10 or before. Cells per "
            "image: where they were counted."
        )
    ]
    if pages:
        link = Markup('<a href="{}">the pages of the screen</a>').format(pages)
        text = Markup("Every plate has a page of its own, with words and more maps: see {}.")
        blocks.append(Paragraph(text.format(link)))
    by_plate = list(hits.groupby([col.MODEL, col.PLATE], sort=True))
    formats = {reader.name: reader for reader in study.plates}
    for (model, plate), wells in by_plate[:_MAX_PLATES]:
        reader = formats.get(str(plate))
        plate_format = plate_maps.plate_format_of(wells) if reader is None else reader.plate_format
        blocks.append(Heading(f"{plate} ({wording.model_title(str(model))})"))
        blocks.append(_maps(wells, plate_format))
    if len(by_plate) > _MAX_PLATES:
        left = len(by_plate) - _MAX_PLATES
        blocks.append(
            Note(
                "info",
                f"{wording.count(left, 'more plate')} not drawn here: see hits.parquet.",
            )
        )
    return Section("plates", title, tuple(blocks))


def _maps(wells: pd.DataFrame, plate_format: PlateFormat) -> Charts:
    shown = [
        ("Score", plate_maps.score_scale(wells)),
        ("Robust z", plate_maps.z_scale(wells)),
    ]
    if col.N_CELLS in wells and wells[col.N_CELLS].notna().any():
        shown.append(("Cells per image", plate_maps.count_scale(wells)))
    charts = tuple(
        Chart(plate_maps.plate_figure(wells, plate_format, scale), title) for title, scale in shown
    )
    return Charts(charts, legend=plate_maps.MARKS)


# ── hits ────────────────────────────────────────────────────────────────────────────────────────


def hits(study: Study) -> Section:
    """Return the section with the hits and why they are hits."""
    table = study.hits
    if isinstance(table, Absent):
        return Section("hits", "Hits", (Note("missing", table.why),))
    return Section("hits", "Hits", tuple(hit_blocks(table)))


def hit_blocks(table: pd.DataFrame) -> list[Block]:
    """Return the hits among some wells, and the wells that something spoke against."""
    called = table[table[col.HIT].fillna(value=False).astype(bool)]
    called = called.reindex(called[col.ROBUST_Z].abs().sort_values(ascending=False).index)
    blocks: list[Block] = []
    if called.empty:
        blocks.append(Note("info", "No well is a hit under the chosen limits."))
    else:
        blocks.append(_hit_table(called.head(_MAX_HITS)))
        if len(called) > _MAX_HITS:
            blocks.append(
                Note("info", f"The strongest {_MAX_HITS} of {len(called):,} hits; all: hits.csv.")
            )
    blocked = table[(table[col.REASONS].fillna("") != "") & ~table.index.isin(called.index)]
    if len(blocked):
        note = f"{wording.count(len(blocked), 'well')} beyond the limits, but no hit"
        blocks.append(Folded(note, (_hit_table(blocked.head(_MAX_HITS)),)))
    return blocks


# ── compounds ───────────────────────────────────────────────────────────────────────────────────


def compounds(study: Study) -> Section | None:
    """Return the section with replicates combined; None where nothing is replicated."""
    table = study.compounds
    if isinstance(table, Absent) or not (table["n_replicates"] > 1).any():
        return None
    called = table[table[col.HIT].astype(bool)]
    called = called.reindex(called[col.ROBUST_Z].abs().sort_values(ascending=False).index)
    if called.empty:
        text = "No compound is a hit over its replicates under the chosen limits."
        return Section("compounds", "Compounds", (Note("info", text),))
    caption = f"Replicates combined; {wording.count(len(called), 'hit')} in all: compounds.csv."
    shown = _tabulate(called.head(_MAX_HITS), _OF_COMPOUND, caption)
    return Section("compounds", "Compounds", (shown,))


def _hit_table(called: pd.DataFrame) -> Table:
    caption = "Rescue: 0 is the negative (diseased), 1 the positive control."
    return _tabulate(called, (*_NAMES, *_OF_HIT), caption)


def _score(value: object) -> str:
    """Write a probability with two decimals, a large reading without."""
    if wording.is_missing(value) or abs(float(value)) < 100:  # type: ignore[arg-type]
        return wording.number(value)
    return wording.trim_number(value, 4)


# ── quality ─────────────────────────────────────────────────────────────────────────────────────


def quality(study: Study) -> Section:
    """Return the section on how well each plate separates its controls."""
    title = "Plate quality"
    table = study.quality
    if isinstance(table, Absent):
        return Section("quality", title, (Note("missing", table.why),))
    of_controls = "One row a plate: how far apart are the controls?"
    of_positions = (
        "p: do treated wells differ by row, column, edge or along a surface, before and after "
        "correction? How many hits are expected to be false?"
    )
    blocks: tuple[Block, ...] = (
        Paragraph(
            "Z′ compares the gap between positive and negative controls with their spread: above "
            "0.5 is an excellent assay, 0 to 0.5 is usable, below 0 the controls overlap. SSMD is "
            "their distance in standard deviations of the difference; beyond ± 3 is strong."
        ),
        _tabulate(table, (*_NAMES, *_CONTROLS), of_controls),
        _tabulate(
            table,
            (*_NAMES, *_POSITIONS),
            of_positions,
        ),
    )
    positions = study.positions
    if not isinstance(positions, Absent):
        caption = (
            "Values of some plates follow their place. Each correction was tried on these plates "
            "(up to 40): on how many is such an effect left, how much of a plate's variance does "
            "the place explain at most, and how far do treated wells still spread?"
        )
        blocks = (*blocks, _tabulate(positions, (*_NAMES[:1], *_TRIED), caption))
    if not isinstance(study.power, Absent):
        caption = (
            "What would a screen like this one find four times of five? From the spread of its own "
            "wells: the smallest effect, by number of replicates on plates of their own."
        )
        blocks = (*blocks, _tabulate(study.power, (*_NAMES[:1], *_POWER), caption))
    batches = study.batches
    if not isinstance(batches, Absent) and batches[col.BATCH].nunique() > 1:
        caption = "One row a batch: its plates' controls together, after normalization."
        blocks = (*blocks, _tabulate(batches, (*_NAMES, *_OF_BATCH, *_CONTROLS), caption))
    return Section("quality", title, blocks)


def _tabulate(table: pd.DataFrame, layout: _Layout, caption: str) -> Table:
    """Give the columns that say anything: no empty ones, no classifier when there is only one."""
    named = [entry for entry in layout if entry[1] in table]
    kept = [
        entry
        for entry in named
        if not table[entry[1]].isin(["", None]).all() and not table[entry[1]].isna().all()
    ]
    if table.get(col.MODEL, pd.Series(dtype=str)).nunique() == 1:
        kept = [entry for entry in kept if entry[1] != col.MODEL]
    titles = tuple(Column(name, numeric, hint) for name, _, numeric, _, hint in kept)
    rows = tuple(
        tuple(write(row[column]) for _, column, _, write, _ in kept)
        for row in table.to_dict(orient="records")
    )
    return Table(titles, rows, caption)


def _model(value: object) -> str:
    return wording.model_title(str(value))


def _yes_no(value: object) -> str:
    return wording.NONE if wording.is_missing(value) else "yes" if value else "no"


_Layout = tuple[tuple[str, str, bool, Callable[[object], str], str], ...]
"""Title, column, whether a number, how it is written, and what it means."""

_NAMES: Final[_Layout] = (
    ("Classifier", col.MODEL, False, _model, ""),
    ("Plate", col.PLATE, False, wording.text, ""),
)

_EFFECTS: Final[_Layout] = (
    (
        "Robust z", col.ROBUST_Z, True, wording.number,
        "(well − median of negative controls) / (1.4826 × MAD)",
    ),
    (
        "SSMD", col.SSMD, True, wording.number,
        "strictly standardized mean difference against the negative controls",
    ),
    ("Strength", col.SSMD_CLASS, False, wording.text, ""),
    (
        "Adjusted p", col.Q_VALUE, True, wording.p_value,
        "Benjamini and Hochberg over the treated wells",
    ),
    ("Rescue", col.RESCUE, True, wording.number, ""),
)  # fmt: skip

_TREATMENT: Final[_Layout] = (
    ("Compound", col.COMPOUND, False, wording.text, ""),
    ("µM", col.CONCENTRATION_UM, True, wording.trim_number, ""),
)

_OF_COMPOUND: Final[_Layout] = (
    *_TREATMENT,
    ("Replicates", col.N_REPLICATES, True, wording.text, ""),
    *_EFFECTS,
)

_OF_HIT: Final[_Layout] = (
    ("Well", col.WELL, False, wording.text, ""),
    *_TREATMENT,
    ("Score", col.SCORE, True, _score, ""),
    *(entry for entry in _EFFECTS if entry[1] != col.SSMD_CLASS),
    (
        "Cells", col.CELL_FRACTION, True, wording.percent,
        "cells, as a share of the median of the negative controls",
    ),
    ("Reasons", col.REASONS, False, wording.text, ""),
)  # fmt: skip

_CONTROLS: Final[_Layout] = (
    ("Z′", "z_prime", True, wording.number, "Zhang 1999, doi 10.1177/108705719900400206"),
    ("Robust Z′", "robust_z_prime", True, wording.number, "with medians and MADs"),
    ("SSMD", "ssmd_controls", True, wording.number, "positive minus negative controls"),
    ("Signal window", "signal_window", True, wording.number, "gap over the controls' spread"),
    ("Variation", "cv_negcon", True, wording.percent, "of the negative controls: SD over mean"),
    ("Negative controls", "n_negcon", True, wording.text, "usable wells"),
    ("Positive controls", "n_poscon", True, wording.text, "usable wells"),
)

_OF_BATCH: Final[_Layout] = (
    ("Batch", col.BATCH, False, wording.text, ""),
    ("Plates", "n_plates", True, wording.text, ""),
)

_TRIED: Final[_Layout] = (
    ("Correction", "correction", False, wording.text, "--correct"),
    ("Plates", "n_plates", True, wording.text, "tried"),
    ("Effect left", "n_left", True, wording.text, "plates"),
    ("Variance", "largest_share", True, wording.percent, "explained by the place, median plate"),
    ("Spread", "treated_spread", True, wording.percent, "of treated wells, of that without"),
    ("Controls compare", "controls_compare", False, _yes_no, "they stand where it sees"),
    ("Advised", "advised", False, _yes_no, "fewest left, controls kept"),
)

_POWER: Final[_Layout] = (
    ("Replicates", "n_replicates", True, wording.text, ""),
    ("Effect", "effect_sd", True, wording.number, "robust SD of the negative controls"),
    ("Rescue", "effect_rescue", True, wording.percent, "of the way to the positive controls"),
)

_POSITIONS: Final[_Layout] = (
    ("Row p before", "row_p", True, wording.p_value, ""),
    ("Row p", "corrected_row_p", True, wording.p_value, ""),
    ("Column p before", "column_p", True, wording.p_value, ""),
    ("Column p", "corrected_column_p", True, wording.p_value, ""),
    ("Edge p before", "edge_p", True, wording.p_value, ""),
    ("Edge p", "corrected_edge_p", True, wording.p_value, ""),
    ("Surface p before", "surface_p", True, wording.p_value, "a slope or bowl"),
    ("Surface p", "corrected_surface_p", True, wording.p_value, "a slope or bowl"),
    ("Follows", "position_effect", False, wording.text, "a clear effect of the place is left"),
    ("Replicates", "replicate_correlation", True, wording.number, "Spearman correlation"),
    ("Hits", "n_hits", True, wording.text, ""),
    ("False hits", "n_false_expected", True, wording.number, "expected by the treated wells"),
    ("Held out", "n_held_out", True, wording.text, "negative controls, in turns"),
    ("Called", "n_held_out_called", True, wording.text, "of those held out"),
    ("Within limits", "passed", False, _yes_no, "no stated limit is broken"),
    ("Limits broken", "failed_limits", False, wording.text, ""),
)


# ── concentration curves ────────────────────────────────────────────────────────────────────────


def doses(study: Study) -> Section:
    """Return the section with effect against concentration."""
    title = "Concentration curves"
    table = study.hits
    if isinstance(table, Absent):
        return Section("doses", title, (Note("missing", table.why),))
    fits = None if isinstance(study.doses, Absent) else study.doses
    effect = dose_curves.effect_column(table, fits)
    blocks: list[Block] = []
    for model, wells in table.groupby(col.MODEL, sort=True):
        blocks += _curves(str(model), wells, effect, dose_curves.fits_of(fits, str(model)))
    if not blocks:
        why = f"No compound was given in {dose_curves.MIN_DOSES} or more concentrations."
        blocks.append(Note("missing", why))
    return Section("doses", title, tuple(blocks))


def _curves(
    model: str, wells: pd.DataFrame, effect: str, fits: Mapping[str, dose_curves.Fit]
) -> Iterator[Block]:
    found = dose_curves.rank_compounds(wells, effect)
    if not found:
        return
    limits = dose_curves.shared_range([part for _, part in found], effect)
    charts = tuple(
        Chart(
            dose_curves.dose_figure(part, effect, limits, fits.get(name)),
            name,
            dose_curves.fit_words(fits.get(name)),
        )
        for name, part in found[:_MAX_CURVES]
    )
    left = len(found) - len(charts)
    more = f" {wording.count(left, 'more compound')} not drawn." if left > 0 else ""
    caption = (
        f"{wording.capital(wording.model_title(model))}: {dose_curves.effect_words(effect)} of "
        "every well against concentration. Strongest effect first. The half-way concentration is "
        f"the vertical line, its 95 % interval the band (?: the data leave that end open); a "
        f"dotted line joins medians where no curve fits better than a constant."
        f"{more} All numbers: dose_fits.csv."
    )
    legend = (
        (dose_curves.HIT_COLOR, "hit"),
        (dose_curves.OTHER_COLOR, "no hit"),
        (dose_curves.FIT_COLOR, "fitted curve"),
    )
    yield Charts(charts, caption, legend)
