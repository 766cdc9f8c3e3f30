"""From a study folder to ``report.html``: sections, charts and scripts put into one template."""

from __future__ import annotations

import base64
import functools
import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bokeh.document import Document
from bokeh.embed import components
from bokeh.model import Model
from bokeh.resources import Resources
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup
from upath import UPath

import hcs
from hcs.domain.config.stages import ReportConfig
from hcs.domain.results import StageResult
from hcs.io.files.atomic import write_bytes
from hcs.io.files.paths import AnyPath, as_path
from hcs.io.runs.places import refuse_other_file
from hcs.report import (
    class_features,
    classifiers,
    cohort,
    growth,
    overview,
    probes,
    records,
)
from hcs.report.blocks import Note, Section, charts_of
from hcs.report.screen import plate_pages, results
from hcs.report.study import Study, open_study

STAGE: Final = "report"

_TEMPLATES: Final = Path(__file__).parent / "templates"


def write_report(config: ReportConfig) -> StageResult:
    """Write a study folder as one HTML page that needs nothing but itself.

    Pieces of the study that are absent or cannot be read are named on the page, in the section
    where they would stand.

    Parameters
    ----------
    config
        Study folder and page.

    Returns
    -------
    StageResult
        With the number of sections, charts, missing pieces, and the size of the page.

    Raises
    ------
    NotFoundError
        When the study folder does not exist.
    """
    started = time.time()
    refuse_other_file(config.out, ".html")
    study = open_study(config.study)
    sections = sections_of(study, config.out)
    html = render(study.name, sections)
    write_bytes(config.out, html.encode())
    n_pages = _write_screen_pages(study, config.out)
    missing = sum(
        isinstance(block, Note) and block.level == "missing"
        for section in sections
        for block in section.blocks
    )
    return StageResult(
        stage=STAGE,
        out=config.out,
        summary={
            "sections": len(sections),
            "charts": sum(1 for section in sections for _ in charts_of(section.blocks)),
            "missing pieces": missing,
            "size (MB)": round(len(html) / 1e6, 1),
            **({"plate pages": n_pages} if n_pages else {}),
        },
        n_run=1,
        seconds=time.time() - started,
    )


def _write_screen_pages(study: Study, out: str) -> int:
    """Write the page of the screen and one a plate beside the report; return how many plates."""
    pages = plate_pages.plate_pages(study)
    if not pages:
        return 0
    folder = screen_folder(out)
    index = render(study.name, plate_pages.screen_sections(study, pages), "Screen")
    write_bytes(folder / plate_pages.INDEX, index.encode())
    for page in pages:
        html = render(page.plate, plate_pages.plate_sections(study, page), "Screened plate")
        write_bytes(folder / page.file, html.encode())
    return len(pages)


def screen_folder(out: AnyPath) -> UPath:
    """Folder of a report's pages on screened plates: ``report.html`` → ``report_screen``."""
    path = as_path(out)
    return path.parent / f"{path.stem}_screen"


def sections_of(study: Study, out: AnyPath = "report.html") -> list[Section]:
    """All sections of a study's page, in order; `out` is where it will lie."""
    folder = screen_folder(out).name + "/"
    if plate_pages.stands_alone(study):
        return plate_pages.screen_sections(study, plate_pages.plate_pages(study), folder)
    found = [
        overview.overview(study),
        records.compare_planted(study),
        cohort.cohort(study),
        cohort.example_images(study),
        classifiers.classifiers(study),
        classifiers.groups(study),
        probes.probes(study),
        class_features.class_features(study),
        growth.growth(study),
        classifiers.training(study),
        *_screen_sections(study, folder),
        records.problems(study),
        records.provenance(study),
    ]
    return [section for section in found if section is not None]


def _screen_sections(study: Study, folder: str) -> list[Section]:
    if not study.has_screen:
        return [Section("plates", "Screen", (Note("info", "This study has no screen plates."),))]
    return [
        results.plates(study, folder + plate_pages.INDEX),
        results.hits(study),
        results.doses(study),
        results.quality(study),
    ]


def render(title: str, sections: list[Section], kind: str = "Study report") -> str:
    """Put sections into the page; `kind` stands above its title.

    The page carries a content security policy that lets the browser run the two scripts written
    here (by their digests) and fetch nothing: text from files could not run even if it slipped
    through the escaping, and the page makes no request.
    """
    charts = [chart.model for section in sections for chart in charts_of(section.blocks)]
    script, divs = _embed_charts(charts) if charts else ("", ())
    scripts = [_read_library(), script] if charts else []
    return _open_template().render(
        title=title,
        kind=kind,
        sections=sections,
        places={model.id: Markup(div) for model, div in zip(charts, divs, strict=True)},
        scripts=[Markup(text) for text in scripts],
        digests=[_digest(text) for text in scripts],
        style=Markup((_TEMPLATES / "page.css").read_text(encoding="utf-8")),
        version=hcs.__version__,
        made=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    )


@functools.cache
def _read_library() -> str:
    return "\n".join(Resources(mode="inline", components=["bokeh"]).js_raw)


@functools.cache
def _open_template() -> Template:
    """Read the page's template, once for the hundreds of pages of a screen."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html")


def _embed_charts(charts: Sequence[Model]) -> tuple[str, Sequence[str]]:
    """Return the script that draws all charts, and the place of each.

    The charts are put into one document at once: left to itself, bokeh adds them one by one and
    looks through all of them every time, which takes four times as long.
    """
    document = Document()
    with document.models.freeze():
        for chart in charts:
            document.add_root(chart)
    script, divs = components(charts, wrap_script=False)
    return script, divs


def _digest(script: str) -> str:
    """Digest of a script as a content security policy names it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
