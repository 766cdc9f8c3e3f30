"""``hcs hits`` end to end: a real plate-reader screen, tables of values, GR, limits, settings."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from hcs.domain import columns as col
from hcs.domain.wells import PlateFormat
from hcs_cli.app import app

WELLS = [well.name for well in PlateFormat.WELLS_96.wells()]


def call(*arguments):
    """Run a command in this process; returns its exit code and its JSON."""
    done = CliRunner().invoke(app, ["hits", *map(str, arguments), "--json"])
    return done.exit_code, json.loads(done.stdout) if done.exit_code in {0, 3} else done


# ── KcViabSmall through --values ────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def kcviab(test_data, tmp_path_factory):
    """Score the screen as its own documentation does: plate medians, then z over a replicate."""
    folder = test_data / "cellhts2" / "inst" / "KcViabSmall"
    if not folder.is_dir():
        pytest.skip(f"no KcViabSmall in {test_data}")
    out = tmp_path_factory.mktemp("kcviab")
    code, result = call(
        "--values", folder / "Platelist.txt", "--out", out / "hits.parquet",
        "--normalize", "plate-median", "--reference", "samples", "--score-over", "batch",
        "--direction", "decrease", "--min-controls", 2,
    )  # fmt: skip
    assert code == 3  # what it finds is on the screen: its columns explain up to 32 % of the values
    return out, result["summary"], folder


def by_hand(folder):
    """Plate FT01, replicate 1, from the raw lines alone, without this library or pandas."""
    medians, scaled = {}, []
    for name in ("FT01-G01", "FT02-G01", "FT03-G01"):
        lines = [line.split("\t") for line in (folder / f"{name}.txt").read_text().splitlines()]
        raw = {well: float(value) for _, well, value in lines}
        flagged = set()
        for line in (folder / "Screenlog.txt").read_text().splitlines()[1:]:
            number, sample, well, *_ = line.split("\t")
            if int(number) == int(name[2:4]) and sample == "1":
                flagged.add(well)
        samples = sorted(v for w, v in raw.items() if w not in flagged | {"B01", "B02"})
        medians[name] = (samples[len(samples) // 2] + samples[(len(samples) - 1) // 2]) / 2
        scaled += [value / medians[name] for value in samples]
        if name == "FT01-G01":
            plate = {w: v / medians[name] for w, v in raw.items() if w not in flagged}
    center = sorted(scaled)[len(scaled) // 2 - 1 : len(scaled) // 2 + 1]
    middle = sum(center) / 2
    deviations = sorted(abs(value - middle) for value in scaled)
    mad = 1.4826 * sum(deviations[len(scaled) // 2 - 1 : len(scaled) // 2 + 1]) / 2
    return plate, {well: (value - middle) / mad for well, value in plate.items()}


def test_a_whole_plate_agrees_with_values_worked_out_by_hand(kcviab):
    out, _, folder = kcviab
    normalized, z = by_hand(folder)
    hits = pd.read_parquet(out / "hits.parquet")
    plate = hits[(hits[col.PLATE] == "FT01-G01") & hits[col.USABLE]].set_index(col.WELL)
    assert set(plate.index) == set(normalized)
    assert len(normalized) == 360
    expected = pd.DataFrame({col.NORMALIZED: normalized, col.ROBUST_Z: z})
    pd.testing.assert_frame_equal(
        plate.loc[expected.index, list(expected)], expected, check_names=False, rtol=1e-9
    )


def test_controls_flags_and_replicates_of_the_real_screen(kcviab):
    out, summary, _ = kcviab
    assert (summary["plates"], summary["wells"], summary["flagged wells"]) == (6, 2304, 144)
    hits = pd.read_parquet(out / "hits.parquet")
    kinds = hits.groupby(col.WELL)[col.PERT_TYPE].unique().map(lambda found: found[0])
    assert kinds[["A01", "A02", "B01", "B02", "C05"]].tolist() == [
        "empty", "empty", "negcon", "poscon", "trt",
    ]  # fmt: skip
    assert hits.loc[hits[col.WELL] == "B03", "Metadata_GeneID"].notna().all()
    compounds = pd.read_csv(out / "compounds.csv").set_index(col.COMPOUND)
    assert compounds.loc[compounds["hit"], "n_plates"].eq(2).all()
    assert compounds.loc[["1 H09", "1 L24"], "hit"].all()
    batches = pd.read_parquet(out / "batch_quality.parquet")
    assert batches["n_plates"].tolist() == [3, 3]
    assert (batches["robust_z_prime"] > 0.9).all()


def test_one_control_a_plate_is_too_few_and_samples_are_used_only_when_asked_for(kcviab, tmp_path):
    *_, folder = kcviab
    code, result = call("--values", folder / "Platelist.txt", "--out", tmp_path / "hits.parquet")
    assert code == 3
    assert result["summary"]["hits"] == 0
    found = {problem["reason"] for problem in result["problems"]}
    assert found == {"no-controls", "failed-quality"}  # and what its columns do to the values
    assert "--reference samples" in result["problems"][0]["message"]


# ── tables of values ────────────────────────────────────────────────────────────────────────────


def reader_table(**columns):
    """One 96-well plate: 8 negative and 8 positive controls, 10 compounds in 8 concentrations."""
    rng = np.random.default_rng(3)
    kind = ["negcon"] * 8 + ["poscon"] * 8 + ["trt"] * 80
    dose = np.array([0.0] * 16 + [0.01 * 3.0**k for k in range(8)] * 10)
    strength = np.repeat([0.0] * 2 + [1.0] + [0.0] * 9, 8)  # the first compound acts
    effect = np.where(
        np.array(kind) == "poscon", 1.0, strength / (1 + (0.3 / np.maximum(dose, 1e-9)) ** 1.5)
    )
    return pd.DataFrame(
        {
            "Plate": "P1",
            "Well": WELLS,
            "pert_type": kind,
            "compound": [None] * 16 + [f"K{i // 8}" for i in range(80)],
            "concentration_um": np.where(dose > 0, dose, np.nan),
            "Signal": 100 - 80 * effect + rng.normal(0, 2, 96),
            "Other": rng.normal(5, 1, 96),
            **columns,
        }
    )  # fmt: skip


def test_a_csv_of_a_reader_gives_hits_compounds_and_curves(tmp_path):
    reader_table().to_csv(tmp_path / "reader.csv", index=False)
    code, result = call(
        "--values", tmp_path / "reader.csv", "--column", "Signal", "--normalize", "npi",
        "--out", tmp_path / "hits.parquet",
    )  # fmt: skip
    assert code == 0
    hits = pd.read_parquet(tmp_path / "hits.parquet")
    assert hits.groupby(col.PERT_TYPE)[col.NORMALIZED].mean().round(6)[
        ["negcon", "poscon"]
    ].tolist() == [
        0,
        100,
    ]
    assert set(hits.loc[hits[col.HIT], col.COMPOUND]) == {"K0"}
    doses = pd.read_parquet(tmp_path / "dose_fits.parquet").set_index(col.COMPOUND)
    assert doses.loc["K0", "status"] == "fitted"
    assert doses.loc["K0", "ec50_um"] == pytest.approx(0.3, rel=0.25)
    assert doses.loc["K0", "ec50_um_low"] < 0.3 < doses.loc["K0", "ec50_um_high"]
    assert (doses.drop("K0")["status"] == "flat").mean() >= 0.7  # 5 % by chance, 9 compounds
    assert result["summary"]["concentration curves"].endswith("of 10")
    csv = pd.read_csv(tmp_path / "hits.csv")
    assert csv[col.WELL].tolist() == hits[col.WELL].tolist()


def test_a_gradient_is_answered_with_a_measured_error_and_a_correction(tmp_path):
    column = np.tile(np.arange(12), 8)
    rng = np.random.default_rng(3)
    kind = np.where(column == 0, "negcon", "trt")
    value = rng.normal(100, 2, 96) + 1.5 * column - 30 * ((column == 6) & (np.arange(96) < 40))
    table = pd.DataFrame({"well": WELLS, "pert_type": kind, "signal": value})
    table.to_csv(tmp_path / "reader.csv", index=False)
    code, result = call("--values", tmp_path / "reader.csv", "--out", tmp_path / "hits.parquet")
    assert code == 3
    summary = result["summary"]
    assert summary["position effects"].startswith("column on 1 of 1")
    assert "--correct loess, which leaves it on 0 of 1 plate" in summary["corrections tried"]
    assert "false" in summary["false hits, measured (stated rate 5%)"]
    assert summary["found 4 times of 5"].startswith("effects of ")
    tried = pd.read_parquet(tmp_path / "position_choices.parquet")
    assert tried.loc[tried["advised"], "correction"].tolist() == ["loess"]
    assert pd.read_csv(tmp_path / "power.csv")["n_replicates"].tolist() == [1, 2, 3, 4, 6]
    code, result = call(
        "--values", tmp_path / "reader.csv", "--out", tmp_path / "hits.parquet", "--correct",
        "loess",
    )  # fmt: skip
    assert "position effects" not in result["summary"]
    assert not (tmp_path / "position_choices.parquet").exists()


def test_which_column_must_be_said_where_there_are_several(tmp_path):
    reader_table().to_csv(tmp_path / "reader.csv", index=False)
    code, done = call("--values", tmp_path / "reader.csv", "--out", tmp_path / "hits.parquet")
    assert code == 1
    assert "'Signal', 'Other'" in done.stderr
    code, done = call(
        "--values", tmp_path / "reader.csv", "--column", "Sgnal", "--out", tmp_path / "h.parquet"
    )
    assert code == 1
    assert "no column 'Sgnal'" in done.stderr


def test_several_columns_go_through_each_on_its_own(tmp_path):
    reader_table().to_csv(tmp_path / "reader.csv", index=False)
    code, _ = call(
        "--values", tmp_path / "reader.csv", "--column", "Signal", "--column", "Other",
        "--out", tmp_path / "two.parquet",
    )  # fmt: skip
    assert code in {0, 3}
    hits = pd.read_parquet(tmp_path / "two.parquet")
    assert hits[col.MODEL].value_counts().to_dict() == {"Signal": 96, "Other": 96}
    assert (tmp_path / "two_plate_quality.parquet").exists()


def test_a_plate_map_says_what_the_wells_hold_and_the_wells_that_it_leaves_out_are_named(tmp_path):
    full = reader_table()
    full[["Plate", "Well", "Signal"]].to_csv(tmp_path / "reader.csv", index=False)
    full.drop(columns=["Signal", "Other"]).iloc[:-2].to_csv(tmp_path / "map.csv", index=False)
    code, result = call(
        "--values", tmp_path / "reader.csv", "--platemap", tmp_path / "map.csv",
        "--out", tmp_path / "hits.parquet",
    )  # fmt: skip
    assert code == 3
    assert [p["well"] for p in result["problems"]] == WELLS[-2:]
    hits = pd.read_parquet(tmp_path / "hits.parquet").set_index(col.WELL)
    assert hits.loc[WELLS[-2:], col.PERT_TYPE].tolist() == ["empty", "empty"]
    assert hits.loc[WELLS[0], col.PERT_TYPE] == "negcon"


def test_any_feature_column_of_a_parquet_table_goes_through(tmp_path):
    table = reader_table().rename(
        columns={
            "Plate": col.PLATE,
            "Well": col.WELL,
            "pert_type": col.PERT_TYPE,
            "Signal": "Soma_Area",
        }
    )
    two_sites = pd.concat([table.assign(Metadata_Site=site) for site in (1, 2)])
    two_sites[col.N_CELLS] = 40.0
    two_sites.loc[two_sites[col.WELL] == WELLS[16], col.N_CELLS] = 3.0
    two_sites.to_parquet(tmp_path / "features.parquet")
    code, _ = call(
        "--values", tmp_path / "features.parquet", "--column", "Soma_Area", "--min-cells", 10,
        "--out", tmp_path / "hits.parquet",
    )  # fmt: skip
    assert code == 0
    hits = pd.read_parquet(tmp_path / "hits.parquet").set_index(col.WELL)
    assert hits[col.N_IMAGES].eq(2).all()
    assert hits.loc[WELLS[16], col.FLAGS] == "too-few-cells"
    assert not hits.loc[WELLS[16], col.USABLE]
    assert hits[col.USABLE].sum() == 95


def test_growth_rate_metrics_where_counts_at_time_zero_exist(tmp_path):
    cells = np.full(96, 80.0)
    table = reader_table(cells_at_zero=20.0)
    acting = (table["compound"] == "K0").to_numpy()
    dose = table["concentration_um"].to_numpy()[acting]
    # Full inhibition holds cells at their number at time zero: GR runs from 1 to 0.
    gr = 1 - 1 / (1 + (0.3 / dose) ** 1.5)
    cells[acting] = 20.0 * 2 ** (np.log2(gr + 1) * np.log2(80 / 20))
    table["count"] = np.round(cells, 3)
    table.to_csv(tmp_path / "reader.csv", index=False)
    code, _ = call(
        "--values", tmp_path / "reader.csv", "--column", "Signal", "--cells", "count",
        "--out", tmp_path / "hits.parquet",
    )  # fmt: skip
    assert code == 0
    hits = pd.read_parquet(tmp_path / "hits.parquet")
    assert hits.loc[acting, col.GR].to_numpy() == pytest.approx(gr, abs=1e-3)
    doses = pd.read_parquet(tmp_path / "dose_fits.parquet").set_index(col.COMPOUND)
    assert doses.loc["K0", "gr_status"] == "fitted"
    assert doses.loc["K0", "gr50_um"] == pytest.approx(0.3, rel=0.02)
    assert doses.loc["K0", "gr_hill"] == pytest.approx(1.5, rel=0.05)
    assert doses.loc["K0", "gr_inf"] == pytest.approx(0.0, abs=0.02)
    assert doses.loc["K5", "gr_status"] == "flat"


def test_a_reader_that_overflows_names_the_well_and_ends_with_3(tmp_path):
    table = reader_table().drop(columns=["Other"])
    texts = [f"{value:.2f}".replace(".", ",") for value in table["Signal"]]
    texts[30] = "OVRFLW"
    table.assign(Signal=texts).to_csv(tmp_path / "reader.csv", sep=";", index=False, decimal=",")
    code, result = call("--values", tmp_path / "reader.csv", "--out", tmp_path / "hits.parquet")
    assert code == 3
    (problem,) = result["problems"]
    assert (problem["well"], problem["reason"]) == (WELLS[30], "not-finite")
    assert "row 32, column 'Signal' says 'OVRFLW'" in problem["message"]
    hits = pd.read_parquet(tmp_path / "hits.parquet").set_index(col.WELL)
    assert np.isnan(hits.loc[WELLS[30], col.SCORE])
    assert not hits.loc[WELLS[30], col.USABLE]
    assert hits.loc[WELLS[31], col.SCORE] == float(texts[31].replace(",", "."))
    assert hits[col.USABLE].sum() == 95


def test_sheets_of_a_workbook_can_be_named_for_values_and_plate_map(tmp_path):
    full = reader_table()
    with pd.ExcelWriter(tmp_path / "book.xlsx") as book:
        full[["Well", "Signal"]].to_excel(book, sheet_name="day 1", index=False)
        full[["Well", "Signal"]].assign(Signal=full["Other"]).to_excel(
            book, sheet_name="day 2", index=False
        )
        full.drop(columns=["Plate", "Signal", "Other"]).to_excel(
            book, sheet_name="map", index=False
        )
    given = ["--values", tmp_path / "book.xlsx", "--out", tmp_path / "hits.parquet"]
    given += ["--platemap", tmp_path / "book.xlsx"]
    code, done = call(*given)
    assert code == 1
    assert "'day 1', 'day 2'" in done.stderr
    code, _ = call(*given, "--sheet", "day 1", "--platemap-sheet", "map")
    assert code == 0
    hits = pd.read_parquet(tmp_path / "hits.parquet")
    assert hits[col.SCORE].to_numpy() == pytest.approx(full["Signal"].to_numpy(), rel=1e-12)
    assert set(hits.loc[hits[col.HIT], col.COMPOUND]) == {"K0"}


def test_what_is_read_is_never_replaced(tmp_path):
    table = reader_table().drop(columns=["Other"])
    table.to_csv(tmp_path / "reader.csv", index=False)
    before = (tmp_path / "reader.csv").read_bytes()
    code, result = call("--values", tmp_path / "reader.csv", "--out", tmp_path / "reader.parquet")
    assert code == 0
    assert (tmp_path / "reader.csv").read_bytes() == before
    assert "reader.csv, which is read" in result["summary"]["kept as it is"]
    assert (tmp_path / "reader_compounds.csv").exists()
    written = (tmp_path / "reader.parquet").read_bytes()
    given = ["--values", tmp_path / "reader.parquet", "--column", "score"]
    code, done = call(*given, "--out", tmp_path / "reader.parquet")
    assert code == 1
    assert "which is read: choose another --out" in done.stderr
    assert (tmp_path / "reader.parquet").read_bytes() == written
    table.drop(columns="Signal").to_csv(tmp_path / "compounds.csv", index=False)
    given = ["--values", tmp_path / "reader.csv", "--platemap", tmp_path / "compounds.csv"]
    code, done = call(*given, "--out", tmp_path / "hits.parquet")
    assert code == 1
    assert "compounds.csv would take the place of" in done.stderr


# ── limits and settings ─────────────────────────────────────────────────────────────────────────


def test_a_plate_beyond_a_stated_limit_is_marked_everywhere(tmp_path):
    reader_table().to_csv(tmp_path / "reader.csv", index=False)
    code, result = call(
        "--values", tmp_path / "reader.csv", "--column", "Signal", "--min-z-prime", 0.99,
        "--out", tmp_path / "hits.parquet",
    )  # fmt: skip
    assert code == 3
    assert result["summary"]["plates beyond a limit"] == "1: P1"
    assert result["problems"][0]["reason"] == "failed-quality"
    assert not pd.read_csv(tmp_path / "plate_quality.csv")["passed"].any()
    hits = pd.read_parquet(tmp_path / "hits.parquet")
    assert not hits[col.PLATE_PASSED].any()
    assert hits.loc[hits[col.HIT], col.REASONS].str.contains("its plate failed: z_prime").all()


def test_settings_come_from_a_study_file_and_options_come_first(tmp_path):
    reader_table().to_csv(tmp_path / "reader.csv", index=False)
    settings = {"hits": {"spatial": {"kind": "loess", "span": 0.8}, "fdr": 0.2}}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(settings))
    call(
        "--values", tmp_path / "reader.csv", "--column", "Signal", "--fdr", 0.01,
        "--settings", tmp_path / "study.yaml", "--correct", "loess", "--min-ssmd", 3,
        "--out", tmp_path / "hits.parquet",
    )  # fmt: skip
    from hcs.io.files.parquet import read_provenance

    used = read_provenance(tmp_path / "hits.parquet")["config"]
    assert used["spatial"] == {"kind": "loess", "span": 0.8, "robust_iterations": 3}
    assert used["fdr"] == 0.01
    assert used["call"] == {"kind": "ssmd", "min_ssmd": 3.0}


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param([], id="nothing"),
        pytest.param(["a.parquet", "--values", "b.csv"], id="both"),
        pytest.param(["a.parquet", "--column", "x"], id="column without values"),
        pytest.param(["--values", "b.csv", "--features", "f.parquet"], id="features of values"),
        pytest.param(["--values", "b.csv", "--normalize", "nonsense"], id="unknown kind"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(arguments):
    assert call(*arguments)[0] == 2


# ── images that fail ────────────────────────────────────────────────────────────────────────────


def image_scores(tmp_path):
    """Two images a well and two splits; one image of B05 and both of B06 are out of focus."""
    table = reader_table()
    rows = [
        {
            col.MODEL: "cnn",
            col.SPLIT: split,
            col.PLATE: "P1",
            col.WELL: row["Well"],
            col.SITE: site,
            col.PERT_TYPE: row["pert_type"],
            col.SCORE: float(np.clip(row["Signal"] / 120, 0, 1)),
        }
        for row in table.to_dict(orient="records")
        for split in (0, 1)
        for site in (1, 2)
    ]
    scores = pd.DataFrame(rows)
    features = (
        scores[list(col.IMAGE_KEY)].drop_duplicates().assign(**{col.N_CELLS: 30.0, "Focus": 5.0})
    )
    blurred = features[col.WELL].eq("B06") | (
        features[col.WELL].eq("B05") & features[col.SITE].eq(2)
    )
    features.loc[blurred, "Focus"] = 0.5
    scores.loc[(scores[col.WELL] == "B05") & (scores[col.SITE] == 2), col.SCORE] = 0.0
    scores.to_parquet(tmp_path / "predictions.parquet")
    features.to_parquet(tmp_path / "features.parquet")
    return tmp_path


def test_images_beyond_a_limit_are_named_and_do_not_count(tmp_path):
    folder = image_scores(tmp_path)
    code, result = call(
        folder / "predictions.parquet", "--features", folder / "features.parquet",
        "--image-limit", "Focus=2..", "--out", folder / "hits.parquet",
    )  # fmt: skip
    assert code == 3
    named = [(p["well"], p["site"], p["reason"], p["message"]) for p in result["problems"]]
    assert named == [
        (well, site, "failed-quality", "the image does not count: Focus 0.5 < 2")
        for well, site in (("B05", 2), ("B06", 1), ("B06", 2))
    ]
    hits = pd.read_parquet(folder / "hits.parquet").set_index(col.WELL)
    assert hits.loc["B05", col.N_IMAGES] == 1
    assert hits.loc["B05", col.SCORE] > 0.5
    assert hits.loc["B05", col.USABLE]
    assert hits.loc["B06", col.FLAGS].split("|")[0] == "failed-quality"
    assert not hits.loc["B06", col.USABLE]
    assert not hits.loc["B06", col.HIT]


def test_limits_need_their_column(tmp_path):
    folder = image_scores(tmp_path)
    out = ("--out", folder / "hits.parquet")
    code, done = call(folder / "predictions.parquet", "--image-limit", "Focus=2..", *out)
    assert (code, "need --features" in done.stderr) == (1, True)
    code, done = call(
        folder / "predictions.parquet", "--features", folder / "features.parquet",
        "--image-limit", "Fokus=2..", *out,
    )  # fmt: skip
    assert (code, "Fokus" in done.stderr) == (1, True)


@pytest.mark.parametrize("text", ["Focus", "Focus=2", "Focus=..", "=1..2", "Focus=a..b"])
def test_a_limit_that_cannot_be_read_is_a_usage_error(text):
    assert call("a.parquet", "--image-limit", text)[0] == 2


def test_values_of_a_plate_that_the_map_lacks_are_one_problem(tmp_path):
    (tmp_path / "reader.csv").write_text("well,Lum\n" + "".join(f"{w},1{w[1:]}\n" for w in WELLS))
    rows = "".join(f"P1,{well},negcon\n" for well in WELLS)
    (tmp_path / "map.csv").write_text("plate,well,pert_type\n" + rows)
    tables = ["--values", tmp_path / "reader.csv", "--platemap", tmp_path / "map.csv"]
    code, result = call(*tables, "--out", tmp_path / "hits.parquet")
    assert code == 3
    found = [item for item in result["problems"] if item["reason"] == "not-in-map"]
    assert [(item["plate"], item["well"]) for item in found] == [("reader", None)]
    assert "says nothing of plate 'reader'" in found[0]["message"]
    (tmp_path / "reader.csv").rename(tmp_path / "P1.csv")
    tables[1] = tmp_path / "P1.csv"
    (tmp_path / "map.csv").write_text(
        "plate,well,pert_type\n" + rows.replace("P1,A01,negcon\n", "")
    )
    _, result = call(*tables, "--out", tmp_path / "hits.parquet")
    lone = [item["well"] for item in result["problems"] if item["reason"] == "not-in-map"]
    assert lone == ["A01"]


def test_values_of_several_times_are_read_at_the_time_that_is_chosen(tmp_path):
    kinds = ["negcon"] * 4 + ["poscon"] * 4 + ["trt"] * 4
    wells = [f"{row}{column:02d}" for row in "AB" for column in range(1, 7)]
    lines = ["plate,well,pert_type,Time (h),Lum"]
    for hours, shift in ((0, 0), (24, 10)):
        for place, (well, kind) in enumerate(zip(wells, kinds, strict=True)):
            value = 100 + place % 4 + (kind != "negcon") * shift
            lines.append(f"P1,{well},{kind},{hours},{value}")
    (tmp_path / "reader.csv").write_text("\n".join(lines) + "\n")
    asked = ["--values", tmp_path / "reader.csv", "--out", tmp_path / "hits.parquet"]
    done = CliRunner().invoke(app, ["hits", *map(str, asked)])
    assert done.exit_code in (1, 2)
    assert "2 time points of plate P1 (0, 1): choose one with --time" in " ".join(
        done.output.split()
    )
    for time, shift in (("0", 0), ("last", 10), ("1440min", 10)):
        call(*asked, "--time", time)
        table = pd.read_parquet(tmp_path / "hits.parquet").set_index("Metadata_Well")
        assert table["score"]["B06"] == 103 + shift
        assert len(table) == 12


def test_faults_of_values_are_not_those_of_a_plate_map(tmp_path):
    (tmp_path / "reader.csv").write_text("well,Lum\nA01,1\nA1,2\n")
    for name, said in (("reader.csv", "stands in row 2 already"), ("no.csv", "does not exist")):
        done = CliRunner().invoke(
            app, ["hits", "--values", str(tmp_path / name), "--out", str(tmp_path / "h.parquet")]
        )
        assert done.exit_code == 1
        assert f"values {tmp_path / name}" in done.output
        assert said in done.output
        assert "plate map" not in done.output


def test_features_given_as_predictions_are_told_the_way(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = pd.DataFrame({f"f{i}": [1.0] for i in range(40)})
    table.to_parquet(tmp_path / "features.parquet")
    done = CliRunner().invoke(app, ["hits", str(tmp_path / "features.parquet")])
    assert done.exit_code == 1
    assert "given to hcs hits with --values" in done.output
    assert "and 28 more" in done.output
