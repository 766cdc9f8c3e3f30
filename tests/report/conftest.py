"""Small study folders, written by the real writers, whose numbers the tests know."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from plain_models import fill
from small_plates import name_of

from hcs.domain import columns as col
from hcs.domain import evaluation as ev
from hcs.domain import probing as pr
from hcs.domain.columns import Reason, Role
from hcs.domain.config.stages import IngestConfig, ReportConfig, StackConfig
from hcs.domain.config.studies import StudyConfig, StudyPlate
from hcs.domain.results import Problem
from hcs.domain.wells import PlateFormat
from hcs.io import bank, imageset, imagewriting
from hcs.io.files import parquet
from hcs.io.files.atomic import write_json
from hcs.learn.splits.drawing import groups_of_images, make_splits
from hcs.report import write_report
from hcs.screen.curves.dose import fit_doses
from hcs.screen.hits import call_hits
from hcs.screen.replicates import call_compounds
from hcs.stages import ingest, stack
from hcs.words.hits import add_compound_reasons, add_reasons

SIX = range(1, 7)
CLONES = {"ALS": [f"ALS-{i:02d}" for i in SIX], "control": [f"HC-{i:02d}" for i in SIX]}
AUC = {
    "cnn": {"image": (0.9312, 0.0423), "group": (0.9817, 0.0312)},
    "forest": {"image": (0.5634, 0.1071), "group": (0.5921, 0.2031)},
}
INTERVAL = {"cnn": (0.84, 0.97), "forest": (0.41, 0.7)}
POWER_OF_ROC = {"cnn": 0.08, "forest": 0.75}
DISTANCE_OF_CLASSES = {"cnn": 0.3, "forest": 0.03}
OF_STUDY = {"group_by": col.CLONE, "label": col.DIAGNOSIS, "positive": "ALS"}
CLONE_COLUMNS = [col.CLONE, col.DONOR, col.DIAGNOSIS, col.BATCH]
DOSES_UM = (0.1, 1.0, 10.0)
RESCUED = (0.0, 0.9, 0.1, 0.5)
"""Share of the phenotype that the largest dose of each compound takes away."""


def provenance(stage: str) -> dict:
    return {
        "software": "hcs",
        "version": "9.8.7",
        "stage": stage,
        "config": {"out": f"{stage}-out", "backbone": {"weights": "random"}},
        "started": "2026-11-22T08:00:00Z",
        "seconds": 12.3,
    }


@dataclass
class Builder:
    """Writes the pieces of one study; names can be made hostile."""

    folder: Path
    clones: dict[str, list[str]] = field(default_factory=CLONES.copy)
    screen_plate: str = "screen1"
    compounds: tuple[str, ...] = ("rapamycin", "ropinirole", "DMSO-like", "bosutinib")
    n_splits: int = 6

    def __post_init__(self) -> None:
        self.folder.mkdir()

    @property
    def rng(self) -> np.random.Generator:
        return np.random.default_rng(3)

    @property
    def images(self) -> pd.DataFrame:
        """Two images of every clone, a well each."""
        clones = [(label, name) for label, names in self.clones.items() for name in names]
        wells = zip(PlateFormat.WELLS_24.wells(), clones, strict=False)
        rows = [
            ("cohort1", well.name, site, name, f"donor {name}", label, f"batch {well.column % 2}")
            for (well, (label, name)), site in product(wells, range(2))
        ]
        return pd.DataFrame(rows, columns=[*col.IMAGE_KEY, *CLONE_COLUMNS])

    def write_everything(self) -> None:
        """Call every other writer, in the order in which they stand."""
        for name in [n for n in vars(Builder) if n.startswith("write_") and "everything" not in n]:
            getattr(self, name)()

    def put_text(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")

    def put_table(self, name: str, table: pd.DataFrame, stage: str = "") -> None:
        parquet.write_table(self.folder / name, table, provenance(stage) if stage else None)

    def write_config(self) -> None:
        plates = (
            StudyPlate(name="cohort1", source="cohort1"),
            StudyPlate(name=self.screen_plate, source="screen1", role="screen"),
        )
        config = StudyConfig(name="Neurons of spring", plates=plates, truth="truth.json")
        self.put_text("study.json", config.model_dump_json())

    def write_plate(self) -> None:
        source, images = self.folder.parent / "cohort1", self.images
        source.mkdir()
        pixels = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
        for well, site in zip(images[col.WELL], images[col.SITE], strict=True):
            tifffile.imwrite(source / name_of(well[0], int(well[1:]), site + 1, "NFH"), pixels)
        wells = images[[col.WELL, *CLONE_COLUMNS]].drop_duplicates()
        wells.to_csv(source / "wells.csv", index=False)
        out, platemap = str(self.folder / "plates" / "cohort1.zarr"), str(source / "wells.csv")
        paths = {"source": str(source), "out": out, "platemap": platemap}
        ingest.run(IngestConfig(plate_wells=24, pixel_size_um=0.65, **paths))

    def write_features(self) -> None:
        images, rng = self.images, self.rng
        images[col.N_CELLS] = rng.poisson(9, len(images))
        images["Image_Soma_MeanArea_um2"] = rng.normal(151, 9, len(images))
        images["Image_Neurite_TotalLength_um"] = rng.normal(2150, 160, len(images))
        images["Image_Neurite_LengthPerCell_um"] = rng.normal(240, 30, len(images))
        self.put_table("features.parquet", images, "features")

    def write_splits(self) -> None:
        groups = groups_of_images(self.images, col.CLONE, col.DIAGNOSIS)
        counts = {"n_splits": self.n_splits, "train": 3, "validation": 1, "test": 2}
        splits = make_splits(groups, seed=17, **counts, **OF_STUDY)
        self.put_text("splits.json", splits.to_json())

    def write_stack_and_bank(self) -> None:
        plate, out = (str(self.folder / name) for name in ("plates/cohort1.zarr", "stack.zarr"))
        stack.run(StackConfig(plates=(plate,), out=out, image_px=64))
        out, images = self.folder / "bank.zarr", self.images.assign(**{imageset.VALID: True})
        settings = {"weights": "random (seed 0)", "weights_fingerprint": "abc123"}
        nothing = np.zeros((len(images), 1, 4), np.float16)
        imagewriting.write_images(out, bank.layout(1, 4, 8), images, nothing, settings)
        known = imageset.ImageSet(str(out), bank.FEATURES, "bank", "embed").frame
        imagewriting.write_table(out, known, provenance("embed"))

    def write_history(self) -> None:
        rows = product(range(self.n_splits), range(1, 17))
        table = pd.DataFrame(rows, columns=["split", "epoch"])
        epoch, noise = table["epoch"], self.rng.normal(0, 0.01, len(table)) + 0.01 * table["split"]
        table["loss"] = 0.7 * np.exp(-epoch / 6) + noise
        table["accuracy"] = 1 - 0.5 * np.exp(-epoch / 5) + noise / 3
        table["val_loss"] = 0.7 * np.exp(-epoch / 9) + 0.1 + noise
        table["val_accuracy"] = 0.93 - 0.45 * np.exp(-epoch / 5) + noise / 3
        self.put_table("models/history.parquet", table)
        write_json(self.folder / "models" / "manifest.json", {"provenance": provenance("train")})

    def write_evaluation(self) -> None:
        models = {"first": "cnn", "second": "forest", "n_splits": self.n_splits}
        figures = {"mean_difference": 0.3678, "low": 0.21, "high": 0.52, "p_value": 0.0031}
        sentence = "Every column holds wells of one class only."
        column = fill(ev.Association, variable="column", verdict="confounded", sentence=sentence)
        found = ev.Evaluation(
            classes=tuple(sorted(self.clones)),
            warnings=("Only 6 clones a class.",),
            models=(self.judge_model("cnn"), self.judge_model("forest")),
            comparisons=(fill(ev.Comparison, metric=ev.Metric.ROC_AUC, **models, **figures),),
            associations=(column,),
            provenance=provenance("evaluate"),
            **OF_STUDY,
        )
        self.put_text("evaluation.json", found.to_json())

    def judge_model(self, name: str) -> ev.ModelEvaluation:
        auc, n, (low, high) = ev.Metric.ROC_AUC, self.n_splits, INTERVAL[name]
        summary = [
            ev.Summary(role=Role.TEST, unit=unit, metric=metric, mean=mean, sd=sd, n=n)
            for unit, metric in product(ev.Unit, ev.Metric)
            for mean, sd in [AUC[name][unit] if metric is auc else (0.8123, 0.0456)]
        ]
        fpr = np.linspace(0, 1, 51)
        tpr, sd = tuple(fpr ** POWER_OF_ROC[name]), (0.1,) * 51
        curve = {"fpr": tuple(fpr), "tpr_mean": tpr, "tpr_sd": sd, "tpr_pooled": tpr}
        calibration = [
            ev.CalibrationBin(low=x, high=x + 0.1, n=5, mean_score=x, positive_share=x)
            for x in np.arange(10) / 10
        ]
        return fill(
            ev.ModelEvaluation,
            model=name,
            n_splits=n,
            summary=tuple(summary),
            intervals=(fill(ev.Interval, metric=auc, low=low, high=high),),
            mean_roc=ev.MeanRoc(n_splits=n, **curve),
            per_group=tuple(self.score_clones(name)),
            confusion=(fill(ev.Confusion, labels=("ALS", "control"), counts=((21, 3), (4, 1234))),),
            calibration=tuple(calibration),
        )

    def score_clones(self, model: str) -> Iterator[ev.GroupScore]:
        rng = self.rng
        for label, clones in self.clones.items():
            center = 0.5 + DISTANCE_OF_CLASSES[model] * (1 if label == "ALS" else -1)
            for clone in clones:
                score = float(np.clip(rng.normal(center, 0.1), 0.08, 0.92))
                call = "ALS" if score > 0.5 else "control"
                who = {"group": clone, "donor": f"donor {clone}", "label": label}
                interval = {"score": score, "ci_low": score - 0.08, "ci_high": score + 0.08}
                right = {"call": call, "correct": call == label, "clear": abs(score - 0.5) > 0.08}
                yield fill(ev.GroupScore, **who, **interval, **right)

    def write_probes(self) -> None:
        null = tuple(np.clip(self.rng.normal(0.5, 0.09, 200), 0, 1))
        by_chance = {"chance": 0.5, "null_low": 0.4, "null_high": 0.61, "p_value": 0.02}
        batch = {"variable": col.BATCH, "n_levels": 2, "balanced_accuracy": 0.7312, **by_chance}
        seen = {"n_images": 12, "n_groups": 6, "auc": 0.8123, "auc_seen": 0.8734, "accuracy": 0.75}
        seen |= {"auc_low": 0.6612, "auc_high": 0.9134, "n_donors": 6}
        passage = {"column": "Metadata_Passage", "statistic": 0.3312, "p_value": 0.231}
        points = [fill(pr.CurvePoint, n_groups=n, auc_mean=0.7, auc_sd=0.05) for n in (1, 2, 3)]
        found = fill(
            pr.Probes,
            classes=("ALS", "control"),
            groups_per_class=(6, 6),
            outcome=pr.Outcome.DOUBTFUL,
            verdict=("The score is more than chance.", "Few clones: 6 in the smallest class."),
            permutation=fill(pr.PermutationProbe, observed=0.8912, null=null, p_value=0.005),
            variables=(fill(pr.VariableProbe, **batch),),
            learning_curves=(fill(pr.LearningCurve, points=tuple(points)),),
            held_out_batches=(fill(pr.HeldOutBatch, batch="batch 1", **seen),),
            covariates=(fill(pr.Covariate, model="cnn", p_holm=0.462, **passage),),
            provenance=provenance("probe"),
            **OF_STUDY,
        )
        self.put_text("probes.json", found.to_json())

    def draw_wells(self) -> pd.DataFrame:
        """Columns 1 and 11 negative, 2 and 12 positive controls; two columns a compound."""
        wells, rng = PlateFormat.WELLS_96.wells(), self.rng
        table = pd.DataFrame({col.WELL: [well.name for well in wells]})
        row, column = (np.array([getattr(w, axis) for w in wells]) for axis in ("row", "column"))
        control, dose = column % 10 < 2, row % 3
        kind = np.where(control, np.where(column % 10 == 0, "negcon", "poscon"), "trt")
        table[col.PERT_TYPE] = np.where(table[col.WELL] == "H12", "empty", kind)
        compound = np.clip((column - 2) // 2, 0, 3)
        table[col.COMPOUND] = np.where(control, None, np.array(self.compounds, object)[compound])
        table[col.CONCENTRATION_UM] = np.where(control, np.nan, np.array(DOSES_UM)[dose])
        rescued = np.where(control, kind == "poscon", np.array(RESCUED)[compound] * dose / 2)
        scores = rng.normal(0.82 - 0.66 * rescued, 0.04)
        cells = rng.poisson(18, len(wells)) / 2
        table = table.assign(**{col.SCORE: scores.clip(0, 1), col.N_CELLS: cells})
        table[[col.MODEL, col.PLATE]] = "cnn", self.screen_plate
        table[[col.SCORE_SPREAD, col.N_IMAGES]] = 0.02, 2
        table[col.USABLE] = table[col.WELL] != "C05"
        table[col.FLAGS] = np.where(table[col.USABLE], "", "too-few-cells")
        return table

    def write_hits(self) -> None:
        called, quality, _ = call_hits(self.draw_wells())
        called = add_reasons(called, quality)
        self.put_table("hits.parquet", called, "hits")
        self.put_table("plate_quality.parquet", quality)
        self.put_table("compounds.parquet", add_compound_reasons(call_compounds(called)))
        self.put_table("dose_fits.parquet", fit_doses(called))

    def write_problems(self) -> None:
        message = "file ends after 1,024 of 8,192 bytes"
        cut = {"well": "A01", "site": 1, "reason": Reason.TRUNCATED, "message": message}
        absent = {"well": "D06", "reason": Reason.NO_IMAGES, "kept": True}
        of_plate = {"stage": "ingest", "plate": "cohort1"}
        problems = [fill(Problem, **of_plate, **known) for known in (cut, absent)]
        self.put_table("problems.parquet", parquet.problems_frame(p.row() for p in problems))

    def write_planted(self) -> None:
        length = {"planted": 2143.0, "found": 2098.5, "unit": "µm", "note": "mean an image"}
        hits = {"planted": 8, "found": 8, "unit": "wells"}
        rows = [{"quantity": "total neurite length", **length}, {"quantity": "hits", **hits}]
        self.put_text("planted.json", json.dumps(rows))


@pytest.fixture
def builder(tmp_path: Path) -> Builder:
    return Builder(tmp_path / "study")


@pytest.fixture(scope="session")
def full_study(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    """A study with every piece; tests must not change it."""
    builder = Builder(tmp_path_factory.mktemp("report") / "study")
    builder.write_everything()
    return builder


@pytest.fixture(scope="session")
def full_report(full_study: Builder) -> Path:
    """The page of that study."""
    out = full_study.folder.parent / "report.html"
    result = write_report(ReportConfig(study=str(full_study.folder), out=str(out)))
    assert (result.stage, result.out) == ("report", str(out))
    assert result.summary["missing pieces"] == 0
    return out
