from __future__ import annotations

import html as html_module
import json
import re
import shutil
from dataclasses import fields, is_dataclass
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hcs.domain.config.stages import ReportConfig
from hcs.errors import NotFoundError
from hcs.report import write_report
from hcs.report.page import sections_of
from hcs.report.study import open_study
from hcs_cli.app import app

HOSTILE = "<script>window.pwned=1</script>"
PIECES = (
    "study.json",
    "plates",
    "features.parquet",
    "splits.json",
    "stack.zarr",
    "bank.zarr",
    "models",
    "evaluation.json",
    "probes.json",
    "hits.parquet",
    "plate_quality.parquet",
    "problems.parquet",
    "planted.json",
)


class Page(HTMLParser):
    """Visible text of every section, and every address that a browser would fetch."""

    def __init__(self, path: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.sections: dict[str, str] = {}
        self.addresses: list[str] = []
        self.scripts: list[str] = []
        self.raw = path.read_text(encoding="utf-8")
        self._open: list[str] = []
        self._section = ""
        self.feed(self.raw)

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        self._open.append(tag)
        if tag == "section":
            self._section = named["id"]
            self.sections[self._section] = ""
        if tag == "script":
            self.scripts.append("")
        self.addresses += [named[a] for a in ("src", "href", "data", "action") if a in named]
        if "meta" in tag or tag in {"img", "br", "link"}:
            self._open.pop()

    def handle_endtag(self, tag):
        if tag in self._open:
            while self._open.pop() != tag:
                pass
        if tag == "section":
            self._section = ""

    def handle_data(self, data):
        if self._open and self._open[-1] == "script":
            self.scripts[-1] += data
        elif self._section:
            text = re.sub(r"[\s\u00a0]+", " ", data)
            self.sections[self._section] += text + " "

    @property
    def text(self) -> str:
        return " ".join(self.sections.values())


def copy_study(source: Path, folder: Path, absent: list[str]) -> Path:
    """Copy a study without some pieces."""
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns(*absent))
    return folder


def words_of(value: object) -> list[str]:
    """All text of some blocks, without drawing any chart."""
    if isinstance(value, str):
        return [value]
    if is_dataclass(value):
        value = [getattr(value, field.name) for field in fields(value) if field.name != "model"]
    return [word for item in value for word in words_of(item)] if iterable(value) else []


def iterable(value: object) -> bool:
    return isinstance(value, list | tuple)


def report(folder: Path) -> Page:
    out = folder.parent / "report.html"
    write_report(ReportConfig(study=str(folder), out=str(out)))
    return Page(out)


@pytest.fixture(scope="module")
def page(full_report) -> Page:
    return Page(full_report)


@pytest.mark.parametrize(
    ("section", "words"),
    [
        pytest.param("verdict", "0.93 ± 0.04", id="auc-of-network-by-image"),
        pytest.param("verdict", "0.98 ± 0.03", id="auc-of-network-by-clone"),
        pytest.param("verdict", "0.56 ± 0.11", id="auc-of-forest-by-image"),
        pytest.param("verdict", "0.59 ± 0.20", id="auc-of-forest-by-clone"),
        pytest.param("verdict", "mean ± SD over 6 splits", id="number-of-splits"),
        pytest.param("verdict", "+0.37 (interval 0.21 to 0.52 , p = 0.0031", id="comparison"),
        pytest.param("verdict", "Simulated data.", id="simulated"),
        pytest.param("verdict", "Random network weights.", id="random-weights"),
        pytest.param("verdict", "Only 6 clones a class.", id="warning-of-evaluation"),
        pytest.param("verdict", "Every column holds wells of one class only.", id="confounded"),
        pytest.param("verdict", "2 problems in the data", id="problems-counted"),
        pytest.param("planted", "total neurite length 2,143 2,098 µm mean an image", id="planted"),
        pytest.param("planted", "hits 8 8 wells", id="planted-integers"),
        pytest.param("cohort", "ALS 6 6 2 1 6 12", id="class-row"),
        pytest.param("cohort", "all 12 12 2 1 12 24", id="totals"),
        pytest.param("cohort", "cohort1 cohort 24 12 24 NFH 0.65", id="plate-row"),
        pytest.param("cohort", "3 clones a class train, 1 tune and 2 test", id="splits"),
        pytest.param("cohort", "tested in 2 splits", id="appearances"),
        pytest.param("images", "becomes 63 and cut at 255", id="normalisation"),
        pytest.param("classifiers", "Accuracy 0.81 ± 0.05", id="accuracy"),
        pytest.param("classifiers", "0.84 to 0.97", id="interval"),
        pytest.param("classifiers", "control 4 1,234", id="confusion"),
        pytest.param("clones", "ALS-01 donor ALS-01 ALS", id="clone-row"),
        pytest.param("features", "Mean soma area (µm²)", id="feature-with-unit"),
        pytest.param("verdict", "Few clones: 6 in the smallest class.", id="probes-in-verdict"),
        pytest.param("probes", "something else may explain part of it", id="outcome"),
        pytest.param("probes", "real labels: 0.89", id="permutation"),
        pytest.param("probes", "batch 2 0.73 0.50 0.40 to 0.61 0.020", id="variable"),
        pytest.param("probes", "batch 1 12 6 0.81 0.66 to 0.91 0.87 0.75", id="held-out-batch"),
        pytest.param("probes", "image network Passage spearman 12 0.33 0.23 0.46", id="covariate"),
        pytest.param("training", "Mean over 6 splits", id="history"),
        pytest.param("plates", "screen1 (image network)", id="plate-named"),
        pytest.param("hits", "ropinirole", id="hit-compound"),
        pytest.param("hits", "robust z", id="hit-reasons"),
        pytest.param("doses", "rescue (0 diseased, 1 healthy control)", id="doses"),
        pytest.param("quality", "Z′", id="quality"),
        pytest.param("problems", "ingest truncated 1 1", id="problem-counted"),
        pytest.param("problems", "file ends after 1,024 of 8,192 bytes", id="problem-message"),
        pytest.param("provenance", "features.parquet features hcs 9.8.7", id="provenance"),
        pytest.param("provenance", "random (seed 0) (fingerprint abc123)", id="weights"),
        pytest.param("provenance", '"name": "Neurons of spring"', id="study-file"),
    ],
)
def test_the_page_says_what_the_files_say(page, section, words):
    # Cells and inline elements are joined by single spaces, so punctuation may stand apart.
    said = re.sub(r"\s+", " ", page.sections[section])
    assert words in said or words.replace(" ,", ",") in said


def test_numbers_of_the_hit_table_are_those_of_the_file(page, full_study):
    import pandas as pd

    hits = pd.read_parquet(full_study.folder / "hits.parquet")
    called = hits[hits["hit"]]
    assert len(called) > 5
    said = re.sub(r"\s+", " ", page.sections["hits"])
    for row in called.itertuples():
        z = f"{row.robust_z:.2f}".replace("-", "−")
        assert f"screen1 {row.Metadata_Well} {row.Metadata_Compound}" in said
        assert f"{row.score:.2f} {z}" in said
    assert f"{len(called)} hit wells" in page.sections["verdict"]


def test_one_image_of_every_picture_is_an_inline_png(page):
    pictures = [address for address in page.addresses if address.startswith("data:")]
    assert len(pictures) == 12
    assert all(address.startswith("data:image/png;base64,iVBOR") for address in pictures)


def test_nothing_is_fetched_from_anywhere(page):
    links = [a for a in page.addresses if not a.startswith(("data:", "#"))]
    assert {re.sub(r"^\w+_screen/", "", link) for link in links} == {"index.html"}  # on a click
    assert not re.search(r"<(link|iframe|object|embed|base)\b", page.raw)
    assert "url(" not in page.raw.split("</style>")[0].split("<style>")[1]
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page.raw)
    assert policy is not None
    rules = html_module.unescape(policy.group(1))
    assert "default-src 'none'" in rules
    assert "http" not in rules
    assert rules.count("'sha256-") == len(page.scripts) == 2


def test_contents_lead_to_every_section(page):
    links = [address for address in page.addresses if address.startswith("#")]
    assert links == [f"#{name}" for name in page.sections]


def test_the_page_is_small(page):
    assert len(page.raw) < 6_000_000


@pytest.mark.parametrize(
    ("absent", "said"),
    [
        pytest.param(["plates"], ["Neurons of spring"], id="plates"),
        pytest.param(["plates", "features.parquet"], ["no plate in plates/"], id="no-images"),
        pytest.param(["splits.json"], ["splits.json is not in", "0.93 ± 0.04"], id="splits"),
        pytest.param(
            ["splits.json", "evaluation.json"],
            ["No verdict on classifiers: evaluation.json is not in", "ALS 6 6 2 1 6 12"],
            id="splits-and-evaluation",
        ),
        pytest.param(["study.json", "planted.json"], ["study", "0.93 ± 0.04"], id="study"),
        pytest.param(["problems.parquet"], ["problems.parquet is not in"], id="problems"),
    ],
)
def test_pieces_may_be_absent_in_any_combination(full_study, tmp_path, absent, said):
    folder = copy_study(full_study.folder, tmp_path / "study", absent)
    study = open_study(folder)
    words = " ".join([study.name, *words_of(sections_of(study))]).replace("\u00a0", " ")
    for sentence in said:
        assert sentence in re.sub(r"\s+", " ", words)
    assert ("Simulated data." in words) == ("planted.json" not in absent)


def test_an_empty_folder_is_refused_and_the_refusal_names_what_it_needs(tmp_path):
    for name in ("", "notes.txt"):
        if name:
            (tmp_path / name).write_text("no study")
        done = CliRunner().invoke(app, ["report", str(tmp_path)])
        assert done.exit_code == 1
        words = " ".join(done.output.split())
        assert "holds nothing to report: no study.json of hcs run, and none of plates" in words
        assert "features.parquet" in words
        assert not (tmp_path / "report.html").exists()


def test_a_folder_with_nothing_in_plates_gives_a_page_that_says_what_is_missing(builder):
    (builder.folder / "plates").mkdir()
    page = report(builder.folder)
    for file, maker in (
        ("evaluation.json", "hcs evaluate"),
        ("features.parquet", "hcs features"),
        ("splits.json", "hcs splits"),
        ("stack.zarr", "hcs stack"),
        ("models/history.parquet", "hcs train"),
        ("probes.json", "hcs run"),
        ("hits.parquet", "hcs hits"),
    ):
        assert f"{file} is not in the study folder; {maker} writes it." in page.text
    assert page.scripts == []


def test_a_study_without_screen_has_no_empty_screen_sections(builder):
    builder.screen_plate = "cohort2"
    builder.write_config()
    config = (builder.folder / "study.json").read_text().replace('"screen"', '"cohort"')
    (builder.folder / "study.json").write_text(config)
    page = report(builder.folder)
    assert "This study has no screen plates." in page.sections["plates"]
    assert {"hits", "doses", "quality"}.isdisjoint(page.sections)


def test_clones_outside_the_splits_are_no_cohort(builder):
    """A screen plate also has clones and diagnoses; without a study file the splits tell."""
    builder.write_plate()
    builder.clones = {name: clones[:4] for name, clones in builder.clones.items()}
    groups = [{"name": n, "label": k, "n_images": 2} for k, v in builder.clones.items() for n in v]
    split = {"index": 0, "train": ["ALS-01", "HC-01"], "validation": [], "test": []}
    splits = {
        "group_by": "Metadata_Clone",
        "label": "Metadata_Diagnosis",
        "classes": ["ALS", "control"],
        "positive": "ALS",
        "seed": 0,
        "counts": {"train": 1, "validation": 0, "test": 0},
        "groups": groups,
        "splits": [split],
    }
    (builder.folder / "splits.json").write_text(json.dumps(splits))
    page = report(builder.folder)
    assert "all 8 8 2 1 8 16" in re.sub(r"\s+", " ", page.sections["cohort"])


def test_damaged_files_are_named_all_at_once(full_study, tmp_path, caplog):
    folder = copy_study(
        full_study.folder, tmp_path / "study", ["models", "stack.zarr", "bank.zarr"]
    )
    files = [name for name in PIECES if "." in name and not name.endswith(".zarr")]
    for name in files:
        (folder / name).write_bytes(b"{ this is nothing \x00\xff")
    page = report(folder)
    for name in files:
        if name != "study.json":
            assert f"{name} cannot be read" in page.text
        assert any(name in record.message for record in caplog.records)
    assert "cohort1" in page.sections["cohort"]


def test_text_from_files_is_never_markup(builder):
    # A plate's name is one of a file and takes no slash.
    builder.screen_plate = "P <u onmouseover=pwned=1> $$x$$"
    builder.compounds = (f"c1 {HOSTILE}", "c2 </script><img src=x onerror=alert(1)>", "c3 &", "c4")
    builder.clones = {
        "ALS": [f"A{i} {HOSTILE}" for i in range(6)],
        "control": [f'C{i} "><b>' for i in range(6)],
    }
    builder.write_everything()
    page = report(builder.folder)
    assert "P <u onmouseover=pwned=1> $$x$$" in page.text
    assert "<u onmouseover" not in page.raw
    assert f"c1 {HOSTILE}" in page.sections["doses"]
    assert f"A0 {HOSTILE}" in page.sections["clones"]
    outside = re.sub(r"<script>.*?</script>", "", page.raw, flags=re.DOTALL)
    assert "pwned=1</script>" not in page.raw
    assert "<b>" not in outside
    assert "onerror=alert" not in re.sub(r"&lt;img[^&]*&gt;", "", outside)
    assert len(page.scripts) == 2


def test_a_class_of_numbers_is_read_as_names(builder):
    builder.clones = {"ALS": [f"{i}" for i in range(1, 7)], "0.5": [f"{i}" for i in range(7, 13)]}
    builder.write_plate()
    builder.write_splits()
    page = report(builder.folder)
    assert "0.5 6 6 2 1 6 12" in re.sub(r"\s+", " ", page.sections["cohort"])


def test_no_study_folder_is_an_error_that_says_what_to_do(tmp_path):
    with pytest.raises(NotFoundError, match=r"absent does not exist; hcs run"):
        write_report(ReportConfig(study=str(tmp_path / "absent"), out=str(tmp_path / "r.html")))


def test_a_failed_report_leaves_the_old_page(builder, tmp_path, monkeypatch):
    (builder.folder / "plates").mkdir()
    out = tmp_path / "report.html"
    out.write_text("old")
    monkeypatch.setattr("hcs.report.page.render", lambda *_: "\ud800")
    with pytest.raises(UnicodeEncodeError):
        write_report(ReportConfig(study=str(builder.folder), out=str(out)))
    assert out.read_text() == "old"
    assert list(tmp_path.glob(".*tmp")) == []
