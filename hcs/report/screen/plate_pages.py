"""A page for every screened plate, and one for the screen that leads to them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

import pandas as pd
from markupsafe import Markup

from hcs.domain import columns as col
from hcs.domain.wells import PlateFormat
from hcs.report import records, wording
from hcs.report.blocks import (
    Block,
    Bullets,
    Charts,
    Column,
    Drawn,
    Fact,
    Facts,
    Heading,
    Note,
    Paragraph,
    Section,
    Table,
    Text,
    Warnings,
)
from hcs.report.charts import plate_maps
from hcs.report.charts.drawn_maps import draw_maps
from hcs.report.overview import warnings_of
from hcs.report.screen import plate_words, results
from hcs.report.study import Absent, Study
from hcs.words import english

MAX_PLATES: Final = 400
"""Pages are about 0.1 MB each."""

INDEX: Final = "index.html"


@dataclass(frozen=True, slots=True)
class PlatePage:
    """A page that is to be written: its file name and the plate that it shows."""

    file: str
    plate: str


def plate_pages(study: Study) -> tuple[PlatePage, ...]:
    """List the pages of the plates, in order; none without hits."""
    if isinstance(study.hits, Absent):
        return ()
    names = sorted(study.hits[col.PLATE].astype(str).unique())
    taken: set[str] = {INDEX}
    pages = []
    for name in names[:MAX_PLATES]:
        stem = re.sub(r"[^\w.-]+", "_", name).strip("._") or "plate"
        file, number = f"{stem}.html", 2
        while file.casefold() in taken:
            file, number = f"{stem}_{number}.html", number + 1
        taken.add(file.casefold())
        pages.append(PlatePage(file, name))
    return tuple(pages)


def stands_alone(study: Study) -> bool:
    """Whether there are hits but nothing of classifiers: plate-reader values, say."""
    others = ("study.json", "plates", "features.parquet", "splits.json", "evaluation.json")
    return not isinstance(study.hits, Absent) and not any(
        (study.path / name).exists() for name in others
    )


# ── one plate ───────────────────────────────────────────────────────────────────────────────────


def plate_sections(study: Study, page: PlatePage) -> list[Section]:
    """Return what the page of one plate shows: words, maps, hits."""
    if isinstance(study.hits, Absent):
        return [Section("plate", page.plate, (Note("missing", study.hits.why),))]
    wells = study.hits[study.hits[col.PLATE].astype(str) == page.plate]
    formats = {reader.name: reader.plate_format for reader in study.plates}
    plate_format = formats.get(page.plate) or plate_maps.plate_format_of(wells)
    back = Markup('<a href="{}">All plates of the screen</a>').format(INDEX)
    sections = [Section("words", "What this plate says", (Paragraph(back), *_words(study, wells)))]
    for model, part in wells.groupby(col.MODEL, sort=True):
        title = wording.capital(wording.model_title(str(model)))
        blocks = (_maps(part, plate_format), *results.hit_blocks(part))
        sections.append(Section(f"maps-{len(sections)}", f"Maps and hits: {title}", blocks))
    return sections


def _words(study: Study, wells: pd.DataFrame) -> list[Block]:
    blocks: list[Block] = []
    several = wells[col.MODEL].nunique() > 1
    for model, part in wells.groupby(col.MODEL, sort=True):
        if several:
            blocks.append(Heading(wording.capital(wording.model_title(str(model)))))
        hits = int(part[col.HIT].fillna(value=False).astype(bool).sum())
        said: list[Text] = [
            wording.strong(f"{wording.count(hits, 'hit')} among {len(part)} wells.")
        ]
        plate = str(part[col.PLATE].iloc[0])
        said += plate_words.of_plate(_quality_of(study, str(model), plate), part)
        blocks.append(Bullets(tuple(said)))
    return blocks


def _quality_of(study: Study, model: str, plate: str) -> dict[str, object]:
    table = study.quality
    if isinstance(table, Absent):
        return {}
    chosen = table[table[col.PLATE].astype(str) == plate]
    if col.MODEL in chosen:
        chosen = chosen[chosen[col.MODEL] == model]
    return {} if chosen.empty else {str(k): v for k, v in chosen.iloc[0].to_dict().items()}


def _maps(wells: pd.DataFrame, plate_format: PlateFormat) -> Charts:
    """Raw, corrected, score and count side by side."""
    is_odds = col.LOG_ODDS in wells
    corrected = "Corrected (log-odds)" if is_odds else "Corrected"
    shown: list[tuple[str, plate_maps.Scale]] = [("As measured", plate_maps.score_scale(wells))]
    if col.CORRECTED in wells:
        shown.append((corrected, plate_maps.value_scale(wells, col.CORRECTED)))
    shown.append(("Robust z", plate_maps.z_scale(wells)))
    if col.N_CELLS in wells and wells[col.N_CELLS].notna().any():
        shown.append(("Cells per image", plate_maps.count_scale(wells)))
    drawn = draw_maps(wells, plate_format, [scale for _, scale in shown])
    charts = tuple(Drawn(picture, title) for (title, _), picture in zip(shown, drawn, strict=True))
    caption = (
        "One square a well; point at it for its content. As measured: before any correction. "
        "Corrected: after position effects were taken out, where that was asked for. Robust z: "
        "distance from the reference wells in robust standard deviations."
    )
    return Charts(charts, caption, plate_maps.MARKS)


# ── the screen ──────────────────────────────────────────────────────────────────────────────────


def screen_sections(study: Study, pages: Sequence[PlatePage], folder: str = "") -> list[Section]:
    """Return what the page of the screen shows: figures, plates, hits, compounds, curves.

    `folder` leads from there to the pages of the plates.
    """
    found: list[Section | None] = [
        _overview(study),
        _plates(study, pages, folder),
        results.hits(study),
    ]
    found += [results.compounds(study), results.doses(study), results.quality(study)]
    found += [records.problems(study), records.provenance(study)]
    return [section for section in found if section is not None]


def _overview(study: Study) -> Section:
    table = study.hits
    if isinstance(table, Absent):
        return Section("screen", "The screen", (Note("missing", table.why),))
    warnings = tuple(warnings_of(study))
    hit = table[col.HIT].fillna(value=False).astype(bool)
    facts = [
        Fact(f"{table[col.PLATE].nunique():,}", "plates"),
        Fact(f"{len(table.drop_duplicates(list(col.WELL_KEY))):,}", "wells"),
        Fact(f"{int(hit.sum()):,}", "hit wells"),
    ]
    if not isinstance(study.compounds, Absent):
        called = study.compounds[study.compounds[col.HIT].astype(bool)]
        facts.append(Fact(f"{called[col.COMPOUND].nunique():,}", "compounds with hits"))
    if not isinstance(study.quality, Absent) and "z_prime" in study.quality:
        z = study.quality["z_prime"].dropna()
        if len(z):
            facts.append(Fact(wording.number(z.median()), "median Z′", "over the plates"))
    blocks: list[Block] = [Warnings("Read this first", warnings)] if warnings else []
    blocks.append(Facts(tuple(facts)))
    blocks += [Paragraph(text) for text in _screen_words(study, table)]
    return Section("screen", "The screen", tuple(blocks))


def _screen_words(study: Study, table: pd.DataFrame) -> list[str]:
    said = []
    quality = study.quality
    if not isinstance(quality, Absent) and "z_prime" in quality:
        z = quality["z_prime"]
        overlap, known = int((z < 0).sum()), int(z.notna().sum())
        if known and overlap:
            where = f"{overlap} of {known} plates" if known > 1 else "the plate"
            said.append(
                f"On {where} positive and negative controls overlap (Z′ below 0): hits there are "
                "candidates to be repeated."
            )
        if not known:
            said.append("No plate has enough positive and negative controls for a Z′.")
    confounded = [
        str(plate)
        for plate, wells in table.groupby(col.PLATE, sort=True)
        if any("cannot be told" in text for text in plate_words.confounding(_one_model(wells)))
    ]
    if confounded:
        more = ["others"] if len(confounded) > 5 else []
        names = english.join_words([*confounded[:5], *more])
        said.append(
            f"Treatment and position cannot be told apart on {names}: see the page of the plate."
        )
    return said


def _one_model(wells: pd.DataFrame) -> pd.DataFrame:
    kept: pd.DataFrame = wells[wells[col.MODEL] == wells[col.MODEL].iloc[0]]
    return kept


def _plates(study: Study, pages: Sequence[PlatePage], folder: str) -> Section:
    title = "Plates"
    if isinstance(study.hits, Absent) or isinstance(study.quality, Absent):
        return Section("plates", title, (Note("missing", "There is no table of plate quality."),))
    several = study.quality.get(col.MODEL, pd.Series(dtype=str)).nunique() > 1
    listed = _LISTED if several else _LISTED[1:]
    files = {page.plate: folder + quote(page.file) for page in pages}
    rows = []
    for row in study.quality.to_dict(orient="records"):
        plate = str(row[col.PLATE])
        name: Text = plate
        if plate in files:
            name = Markup('<a href="{}">{}</a>').format(files[plate], plate)
        values = {str(key): value for key, value in row.items()}
        rows.append((name, *(write(values) for *_, write in listed)))
    columns = (
        Column("Plate"),
        *(Column(title, numeric, hint) for title, numeric, hint, _ in listed),
    )
    blocks: list[Block] = [Table(columns, tuple(rows), "Each plate has a page of its own.")]
    left = study.hits[col.PLATE].nunique() - len(pages)
    if left > 0:
        text = f"{wording.count(left, 'more plate')} without a page: see hits.parquet."
        blocks.append(Note("info", text))
    return Section("plates", title, tuple(blocks))


_Row = dict[str, object]
_LISTED: Final[tuple[tuple[str, bool, str, Callable[[_Row], str]], ...]] = (
    ("Classifier", False, "", lambda row: wording.model_title(str(row.get(col.MODEL, "")))),
    ("Hits", True, "", lambda row: wording.text(row.get("n_hits"))),
    ("Z′", True, "gap between the controls", lambda row: wording.number(row.get("z_prime"))),
    ("SSMD", True, "of the controls", lambda row: wording.number(row.get("ssmd_controls"))),
    ("Usable wells", True, "", lambda row: f"{row.get('n_usable')} of {row.get('n_wells')}"),
    (
        "Within limits",
        False,
        "no stated limit is broken",
        lambda row: "yes" if row.get("passed") else f"no: {row.get('failed_limits')}",
    ),
)
