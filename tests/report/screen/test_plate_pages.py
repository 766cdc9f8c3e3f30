"""The pages of a screen: every plate has one, in words a biologist reads; names stay harmless."""

from __future__ import annotations

import html
import re

import numpy as np
import pandas as pd
import pytest
import tifffile
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GroupKFold, cross_val_predict

from hcs.domain import columns as col
from hcs.domain.config.stages import HitsConfig, ReportConfig, ValuesTable
from hcs.domain.wells import PlateFormat
from hcs.report import write_report
from hcs.report.charts.dose_curves import fit_words
from hcs.report.screen.plate_words import confounding, of_plate
from hcs.stages import hits as stage

WELLS = PlateFormat.WELLS_96.wells()


def plate(name="P1", *, layout="mixed", seed=0, gap=80.0):
    """8 negative and 8 positive controls and 80 treated wells: 10 compounds in 8 concentrations."""
    rng = np.random.default_rng(seed)
    wells = list(WELLS)
    if layout == "columns":
        wells.sort(key=lambda well: (well.column, well.row))
    elif layout == "mixed":
        wells = [wells[i] for i in rng.permutation(96)]
    kind = ["negcon"] * 8 + ["poscon"] * 8 + ["trt"] * 80
    dose = np.array([np.nan] * 16 + [0.01 * 3.0**k for k in range(8)] * 10)
    share = np.zeros(96)
    share[8:16] = 1.0
    share[16:24] = 1 / (1 + (0.3 / dose[16:24]) ** 1.5)
    return pd.DataFrame(
        {
            "Plate": name,
            "Well": [well.name for well in wells],
            "pert_type": kind,
            "compound": [None] * 16 + [f"K{i // 8}" for i in range(80)],
            "concentration_um": dose,
            "Signal": 100 - gap * share + rng.normal(0, 2, 96),
            "Image_Count_Cells": rng.poisson(40, 96),
        }
    )


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Score two plates of a reader and write the report."""
    folder = tmp_path_factory.mktemp("screen")
    table = pd.concat(
        [plate("P 1/<b>", seed=1).assign(batch="B1"), plate("P 1_<b>", seed=2).assign(batch="B2")]
    )
    table.to_csv(folder / "reader.csv", index=False)
    source = ValuesTable(path=str(folder / "reader.csv"), columns=("Signal",))
    limits = {"min_z_prime": 0.99}
    stage.run(
        HitsConfig.model_validate(
            {"source": source, "out": str(folder / "hits.parquet"), "limits": limits}
        )
    )
    result = write_report(ReportConfig(study=str(folder), out=str(folder / "report.html")))
    assert result.summary["plate pages"] == 2
    return folder


def words(path):
    """Visible text of a page."""
    raw = re.sub(r"<(script|style)>.*?</\1>", " ", path.read_text(), flags=re.DOTALL)
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", raw)))


def test_the_screen_leads_to_a_page_for_every_plate(pages):
    for start in (pages / "report.html", pages / "report_screen" / "index.html"):
        links = re.findall(r'<td><a href="([^"]+)"', start.read_text())
        assert len(set(links)) == 2
        assert all((start.parent / link).is_file() for link in links)
    back = (pages / "report_screen" / "P_1_b.html").read_text()
    assert 'href="index.html"' in back


def test_a_plate_page_shows_raw_corrected_score_and_count(pages):
    text = words(pages / "report_screen" / "P_1_b.html")
    for title in ("As measured", "Corrected", "Robust z", "Cells per image"):
        assert title in text
    assert "P 1/<b>" in text  # as text, never as markup
    body = (pages / "report_screen" / "P_1_b.html").read_text().split("<main>")[1]
    assert "<b>" not in body.split("<script>")[0]


def test_the_plate_that_breaks_a_limit_says_so_everywhere(pages):
    assert "breaks a stated limit: z_prime" in words(pages / "report_screen" / "P_1_b.html")
    assert "no: z_prime" in words(pages / "report.html")
    assert "2 plates broke a stated limit" in words(pages / "report.html")


def test_fitted_curves_are_told_in_numbers(pages):
    text = words(pages / "report.html")
    assert re.search(r"(EC50|IC50) 0\.\d+ µM \(0\.\d+ to 0\.\d+\), Hill 1\.\d", text)
    assert "No curve: a constant fits as well as a curve" in text


def test_every_batch_has_its_row(pages):
    text = words(pages / "report.html").split("One row a plate: how far apart")[1]
    assert re.search(r"Batch Plates .* B1 1 \S+ .* B2 1 \S+ .* One row a batch", text)


def test_a_screen_alone_has_no_empty_sections_of_classifiers(pages):
    assert "ROC AUC" not in words(pages / "report.html")
    assert "splits.json" not in words(pages / "report.html")


def test_an_open_end_of_an_interval_is_a_question_mark():
    fit = {
        "status": "fitted", "message": "", "at_zero": 1.0, "at_infinity": 0.0, "ec50_um": 0.5,
        "ec50_um_low": 0.0, "ec50_um_high": np.inf, "hill": 1.0,
    }  # fmt: skip
    assert fit_words(fit) == "IC50 0.50 µM (? to ?), Hill 1.0, plateau 0.00"
    assert fit_words(None) == ""


# ── words ───────────────────────────────────────────────────────────────────────────────────────


def wells_of(**columns):
    return pd.DataFrame({col.WELL: [well.name for well in WELLS], **columns})


def test_treatment_that_fills_columns_is_said_to_be_confounded():
    wells = wells_of(**{col.COMPOUND: [f"K{well.column % 4}" for well in WELLS]})
    (sentence,) = confounding(wells)
    assert "each of the 12 columns holds one treatment only (4 treatments)" in sentence
    assert "cannot be told from" in sentence
    rows = wells_of(**{col.COMPOUND: [f"K{well.row % 2}" for well in WELLS]})
    assert "each of the 8 rows" in next(confounding(rows))


@pytest.mark.parametrize(
    "contents",
    [
        pytest.param([f"K{i % 5}" for i in range(96)], id="mixed"),
        pytest.param([f"K{i}" for i in range(96)], id="every compound once"),
        pytest.param([None] * 96, id="unknown"),
        pytest.param(["K0"] * 96, id="one treatment"),
    ],
)
def test_nothing_is_said_where_nothing_is_confounded(contents):
    assert list(confounding(wells_of(**{col.COMPOUND: contents}))) == []


def test_controls_in_columns_of_their_own_are_named():
    kind = ["negcon" if well.column in {0, 11} else "trt" for well in WELLS]
    (sentence,) = confounding(wells_of(**{col.PERT_TYPE: kind}))
    assert sentence.startswith("All controls stand in columns 1 and 12")


@pytest.mark.parametrize(
    ("z_prime", "expected"),
    [
        pytest.param(0.7, "stand well apart", id="excellent"),
        pytest.param(0.2, "little room", id="usable"),
        pytest.param(-0.4, "overlap", id="overlap"),
        pytest.param(np.nan, "No Z′: 2 usable negative and 0 usable positive", id="no controls"),
    ],
)
def test_controls_in_words(z_prime, expected):
    quality = {"z_prime": z_prime, "n_negcon": 2, "n_poscon": 0}
    assert expected in of_plate(quality, wells_of())[0]


# ── a real plate ────────────────────────────────────────────────────────────────────────────────


def test_a_real_plate_whose_treatments_fill_columns_is_said_to_be_confounded(test_data, tmp_path):
    """Score spaom2020 by a forest on intensities, folds by well, and read what its page says."""
    folder = test_data / "spaom2020" / "dataset2D"
    if not folder.is_dir():
        pytest.skip(f"no spaom2020 in {test_data}")
    wells = pd.read_csv(folder / "metadata.csv")
    features = []
    for name in wells["colrow"]:
        planes = tifffile.imread(folder / "images" / f"{name}.tif").reshape(-1, 270, 270)[:2]
        parts = [np.percentile(plane, [1, 25, 50, 75, 99]) for plane in planes]
        features.append(np.concatenate([*parts, planes.std(axis=(1, 2))]))
    forest = RandomForestClassifier(n_estimators=60, random_state=0)
    is_treated = (wells["treatment"] == "pre2i").to_numpy()
    folds = GroupKFold(6)
    scores = cross_val_predict(
        forest, np.array(features), is_treated, groups=wells["colrow"], cv=folds,
        method="predict_proba",
    )[:, 1]  # fmt: skip
    wells.assign(plate="SPAOM", score=scores).to_csv(tmp_path / "scores.csv", index=False)
    stage.run(
        HitsConfig(
            source=ValuesTable(path=str(tmp_path / "scores.csv"), columns=("score",)),
            out=str(tmp_path / "hits.parquet"),
            reference="samples",
        )
    )
    hits = pd.read_parquet(tmp_path / "hits.parquet")
    by_treatment = hits.groupby(col.COMPOUND)[col.SCORE].mean()
    assert by_treatment.idxmax() == "pre2i"
    columns = hits[col.WELL].str[1:]
    assert hits.groupby(columns)[col.COMPOUND].nunique().eq(1).all()
    assert (
        hits.groupby(columns)[col.SCORE]
        .mean()
        .nlargest(3)
        .index.isin(columns[hits[col.COMPOUND].eq("pre2i")])
        .sum()
        >= 2
    )
    write_report(ReportConfig(study=str(tmp_path), out=str(tmp_path / "report.html")))
    page = words(tmp_path / "report_screen" / "SPAOM.html")
    assert "each of the 12 columns holds one treatment only (4 treatments)" in page
    assert "cannot be told from an effect of the treatment" in page
    assert "Treated wells differ by column (p" in page
    assert "No Z′: 0 usable negative and 0 usable positive controls" in page
    assert "Treatment and position cannot be told apart on SPAOM" in words(tmp_path / "report.html")
