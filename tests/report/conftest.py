"""Small study folders, written with the real file formats, whose numbers the tests know."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hcs.domain import columns as col
from hcs.domain import ngff
from hcs.domain.columns import Role
from hcs.domain.config.stages import ReportConfig
from hcs.domain.config.studies import StudyConfig, StudyPlate
from hcs.domain.evaluation import (
    Association,
    CalibrationBin,
    Comparison,
    Confusion,
    Evaluation,
    GroupScore,
    Interval,
    MeanRoc,
    Metric,
    ModelEvaluation,
    Summary,
    Unit,
)
from hcs.domain.plate import Channel
from hcs.domain.probing import (
    BaselineProbe,
    Covariate,
    CurvePoint,
    HeldOutBatch,
    LearningCurve,
    Outcome,
    PermutationProbe,
    Probes,
    ProbeSettings,
    VariableProbe,
)
from hcs.domain.splits import Group, Proof, RoleCounts, Split, Splits
from hcs.domain.wells import PlateFormat, Well
from hcs.io import bank, imageset, stack
from hcs.io.files import parquet
from hcs.io.files.atomic import write_json
from hcs.io.plates import plate, plate_tables
from hcs.report import write_report
from hcs.screen.curves.dose import fit_doses
from hcs.screen.hits import call_hits
from hcs.screen.replicates import call_compounds

AUC = {"cnn": (0.9312, 0.0423), "forest": (0.5634, 0.1071)}
CLONE_AUC = {"cnn": (0.9817, 0.0312), "forest": (0.5921, 0.2031)}


def provenance(stage: str) -> dict:
    return {
        "software": "hcs",
        "version": "9.8.7",
        "stage": stage,
        "config": {"out": f"{stage}-out", "backbone": {"weights": "random"}},
        "inputs": {},
        "started": "2026-11-22T08:00:00Z",
        "seconds": 12.3,
    }


@dataclass
class Builder:
    """Writes the pieces of one study; names can be made hostile."""

    folder: Path
    clones: dict[str, list[str]] = field(
        default_factory=lambda: {
            "ALS": [f"ALS-{i:02d}" for i in range(1, 7)],
            "control": [f"HC-{i:02d}" for i in range(1, 7)],
        }
    )
    screen_plate: str = "screen1"
    compounds: tuple[str, ...] = ("rapamycin", "ropinirole", "DMSO-like", "bosutinib")
    n_splits: int = 6
    seed: int = 3

    @property
    def rng(self) -> np.random.Generator:
        return np.random.default_rng(self.seed)

    def everything(self) -> Path:
        for piece in (
            self.config,
            self.cohort_plate,
            self.features,
            self.splits,
            self.stack,
            self.bank,
            self.history,
            self.evaluation,
            self.probes,
            self.hits,
            self.problems,
            self.planted,
        ):
            piece()
        return self.folder

    # ── plates ──────────────────────────────────────────────────────────────────────────────

    def config(self) -> None:
        plates = (
            StudyPlate(name="cohort1", source="cohort1"),
            StudyPlate(name=self.screen_plate, source="screen1", role="screen"),
        )
        config = StudyConfig(name="Neurons of spring", plates=plates, truth="truth.json")
        (self.folder / "study.json").write_text(config.model_dump_json())

    def _images(self) -> pd.DataFrame:
        rows = []
        wells = iter(PlateFormat.WELLS_24.wells())
        for label, names in self.clones.items():
            for name in names:
                well = next(wells)
                rows += [
                    {
                        col.PLATE: "cohort1",
                        col.WELL: well.name,
                        col.SITE: site,
                        col.CLONE: name,
                        col.DONOR: f"donor {name}",
                        col.DIAGNOSIS: label,
                        col.BATCH: f"batch {names.index(name) % 2}",
                        col.FIELD_PATH: f"{well.path}/{site}",
                        col.FINGERPRINT: f"{well.name}{site}",
                    }
                    for site in range(2)
                ]
        return pd.DataFrame(rows)

    def cohort_plate(self) -> None:
        out = self.folder / "plates" / "cohort1.zarr"
        images = self._images()
        wells = sorted({Well.parse(name) for name in images[col.WELL]})
        rows = PlateFormat.WELLS_24.row_names
        attributes = ngff.plate_attributes("cohort1", PlateFormat.WELLS_24, wells, 2)
        plate.create_plate(out, attributes, rows)
        pixels = np.arange(64 * 64, dtype=np.uint16).reshape(1, 64, 64)
        levels = ngff.pyramid(pixels.shape, 2)
        plate.write_well(out, wells[0], ["0", "1"])
        described = ngff.image_attributes(
            "first",
            ngff.axis_names(1, 1),
            levels,
            [Channel(name="NFH")],
            pixel_size_um=0.65,
            window=(0, 4096),
        )
        pictures = [(level, pixels) for level in levels]
        plate.write_image(out, f"{wells[0].path}/0", described, pictures, ngff.axis_names(1, 1))
        keys = [*col.IMAGE_KEY, col.FIELD_PATH, col.FINGERPRINT]
        plate_tables.write_plate_table(out, "images", images[keys])
        on_wells = [col.WELL, col.CLONE, col.DONOR, col.DIAGNOSIS, col.BATCH]
        described_wells = images[on_wells].drop_duplicates(col.WELL)
        plate_tables.write_plate_table(out, "wells", described_wells.reset_index(drop=True))
        plate.write_provenance(out, "ingest", provenance("ingest"))

    # ── learning ────────────────────────────────────────────────────────────────────────────

    def features(self) -> None:
        images, rng = self._images(), self.rng
        images[col.N_CELLS] = rng.poisson(9, len(images))
        images["Image_Soma_MeanArea_um2"] = rng.normal(151, 9, len(images))
        images["Image_Neurite_TotalLength_um"] = rng.normal(2150, 160, len(images))
        images["Image_Neurite_LengthPerCell_um"] = rng.normal(240, 30, len(images))
        kept = images.drop(columns=[col.FIELD_PATH, col.FINGERPRINT])
        parquet.write_table(self.folder / "features.parquet", kept, provenance("features"))

    def _splits(self) -> Splits:
        groups = tuple(
            Group(name=name, label=label, donor=f"donor {name}", n_images=2)
            for label, names in self.clones.items()
            for name in names
        )
        splits = []
        for index in range(self.n_splits):
            turned = [np.roll(names, index).tolist() for names in self.clones.values()]
            splits.append(
                Split(
                    index=index,
                    train=tuple(n for names in turned for n in names[:3]),
                    validation=tuple(names[3] for names in turned),
                    test=tuple(n for names in turned for n in names[4:]),
                )
            )
        return Splits(
            group_by=col.CLONE,
            label=col.DIAGNOSIS,
            classes=tuple(sorted(self.clones)),
            positive="ALS",
            seed=17,
            counts=RoleCounts(train=3, validation=1, test=2),
            groups=groups,
            splits=tuple(splits),
            proof=Proof.of(groups, splits),
            provenance=provenance("splits"),
        )

    def splits(self) -> None:
        (self.folder / "splits.json").write_text(self._splits().to_json(), encoding="utf-8")

    def stack(self) -> None:
        frame = self._images()
        frame[imageset.VALID] = True
        out = self.folder / "stack.zarr"
        settings = {"channel": None, "image_px": 64, "median_level": 63.0}
        starts = range(0, len(frame), 8)
        shapes = [(min(8, len(frame) - start), 64, 64) for start in starts]
        pixels = [self.rng.integers(20, 200, shape, dtype=np.uint8) for shape in shapes]
        imageset.write_images(out, stack.layout(64, 8), frame, np.concatenate(pixels), settings)
        imageset.write_table(out, imageset.place_images(out, frame), provenance("stack"))

    def bank(self) -> None:
        frame = self._images()
        frame[imageset.VALID] = True
        out = self.folder / "bank.zarr"
        settings = {"weights": "random (seed 0)", "weights_fingerprint": "abc123"}
        nothing = np.zeros((len(frame), 1, 4))
        imageset.write_images(out, bank.layout(1, 4, 8), frame, nothing, settings)
        imageset.write_table(out, imageset.place_images(out, frame), provenance("embed"))

    def history(self) -> None:
        epochs = np.arange(1, 17)
        frames = []
        for split in range(self.n_splits):
            noise = self.rng.normal(0, 0.01, len(epochs)) + 0.01 * split
            columns = {
                "split": split,
                "epoch": epochs,
                "loss": 0.7 * np.exp(-epochs / 6) + noise,
                "accuracy": 1 - 0.5 * np.exp(-epochs / 5) + noise / 3,
                "val_loss": 0.7 * np.exp(-epochs / 9) + 0.1 + noise,
                "val_accuracy": 0.93 - 0.45 * np.exp(-epochs / 5) + noise / 3,
            }
            frames.append(pd.DataFrame(columns))
        table = pd.concat(frames, ignore_index=True)
        parquet.write_table(self.folder / "models" / "history.parquet", table)
        manifest = {"provenance": provenance("train")}
        write_json(self.folder / "models" / "manifest.json", manifest)

    def judged(self) -> Evaluation:
        cnn_over_forest = Comparison(
            metric=Metric.ROC_AUC,
            unit=Unit.IMAGE,
            first="cnn",
            second="forest",
            n_splits=self.n_splits,
            mean_difference=0.3678,
            sd_difference=0.09,
            low=0.21,
            high=0.52,
            t=5.1,
            p_value=0.0031,
            test_train_ratio=0.5,
        )
        column = Association(
            variable="column",
            n_wells=12,
            n_levels=6,
            n_pure_levels=6,
            cramers_v=1.0,
            p_value=0.002,
            verdict="confounded",
            sentence="Every column holds wells of one class only.",
        )
        return Evaluation(
            group_by=col.CLONE,
            label=col.DIAGNOSIS,
            classes=tuple(sorted(self.clones)),
            positive="ALS",
            warnings=("Only 6 clones a class.",),
            models=(self._model("cnn"), self._model("forest")),
            comparisons=(cnn_over_forest,),
            associations=(column,),
            provenance=provenance("evaluate"),
        )

    def evaluation(self) -> None:
        (self.folder / "evaluation.json").write_text(self.judged().to_json(), encoding="utf-8")

    def _model(self, name: str) -> ModelEvaluation:
        fpr = np.linspace(0, 1, 51)
        power = 0.08 if name == "cnn" else 0.75
        tpr = fpr**power
        bands = np.full(51, 0.06 if name == "cnn" else 0.12)
        return ModelEvaluation(
            model=name,
            n_splits=self.n_splits,
            summary=tuple(self._summaries(name)),
            intervals=(
                Interval(
                    metric=Metric.ROC_AUC,
                    unit=Unit.IMAGE,
                    value=AUC[name][0],
                    low=0.84 if name == "cnn" else 0.41,
                    high=0.97 if name == "cnn" else 0.7,
                    method="bootstrap of donors",
                ),
            ),
            mean_roc=MeanRoc(
                fpr=tuple(fpr),
                tpr_mean=tuple(tpr),
                tpr_sd=tuple(bands),
                tpr_pooled=tuple(tpr),
                n_splits=self.n_splits,
            ),
            per_group=tuple(self._group_scores(name)),
            confusion=(
                Confusion(unit=Unit.IMAGE, labels=("ALS", "control"), counts=((21, 3), (4, 1234))),
            ),
            calibration=tuple(
                CalibrationBin(
                    low=i / 10, high=(i + 1) / 10, n=5, mean_score=i / 10, positive_share=i / 10
                )
                for i in range(10)
            ),
            per_split=(),
        )

    def _summaries(self, name: str) -> list[Summary]:
        found = []
        for unit, values in ((Unit.IMAGE, AUC), (Unit.GROUP, CLONE_AUC)):
            for metric in Metric:
                mean, sd = values[name] if metric is Metric.ROC_AUC else (0.8123, 0.0456)
                found.append(
                    Summary(
                        role=Role.TEST, unit=unit, metric=metric, mean=mean, sd=sd, n=self.n_splits
                    )
                )
        return found

    def _group_scores(self, name: str) -> list[GroupScore]:
        rng, rows = self.rng, []
        for label, clones in self.clones.items():
            center = 0.5 + (0.3 if name == "cnn" else 0.03) * (1 if label == "ALS" else -1)
            for clone in clones:
                score = float(np.clip(rng.normal(center, 0.1), 0.02, 0.98))
                call = "ALS" if score > 0.5 else "control"
                rows.append(
                    GroupScore(
                        group=clone,
                        donor=f"donor {clone}",
                        label=label,
                        n_images=2,
                        n_wells=1,
                        n_splits=2,
                        accuracy=0.9 if call == label else 0.3,
                        score=score,
                        ci_low=max(0.0, score - 0.08),
                        ci_high=min(1.0, score + 0.08),
                        call=call,
                        correct=call == label,
                        clear=abs(score - 0.5) > 0.08,
                    )
                )
        return rows

    def probes(self) -> None:
        permutation = PermutationProbe(
            observed=0.8912,
            null=tuple(float(v) for v in np.clip(self.rng.normal(0.5, 0.09, 200), 0, 1)),
            null_mean=0.5,
            null_low=0.31,
            null_high=0.68,
            p_value=0.005,
            n_permutations=200,
            n_splits=4,
            epochs=12,
            shuffled="donor",
            n_arrangements=924,
            sentence="Only 1 of 200 shuffles does as well.",
        )
        batch = VariableProbe(
            variable=col.BATCH,
            n_images=24,
            n_groups=12,
            n_levels=2,
            balanced_accuracy=0.7312,
            chance=0.5,
            null_low=0.4,
            null_high=0.61,
            p_value=0.02,
            n_permutations=49,
            shuffled="between_groups",
            verdict="predictable",
            sentence="The features tell the batch.",
        )
        baseline = BaselineProbe(
            features=("background",),
            n_splits=6,
            auc_mean=0.55,
            auc_sd=0.1,
            low=0.4,
            high=0.7,
            p_value=0.4,
            model="cnn",
            model_auc=0.93,
            verdict="chance",
            sentence="Background and intensity alone do not tell the class (AUC 0.55).",
        )
        points = tuple(
            CurvePoint(
                n_groups=n, n_images=2, epochs=12, auc_mean=0.6 + n / 10, auc_sd=0.05, n_splits=4
            )
            for n in (1, 2, 3)
        )
        curve = LearningCurve(
            varied="groups",
            points=points,
            gain=0.1,
            gain_low=0.02,
            gain_high=0.2,
            rising=True,
            sentence="More clones would help.",
        )
        held_out = HeldOutBatch(
            batch="batch 1",
            n_images=12,
            n_groups=6,
            n_train_groups=5,
            n_parts=2,
            auc=0.8123,
            accuracy=0.75,
            auc_seen=0.8734,
            sentence="On batch 1, the AUC is 0.81.",
        )
        passage = Covariate(
            model="cnn",
            column="Metadata_Passage",
            test="spearman",
            n=12,
            n_levels=None,
            statistic=0.3312,
            p_value=0.231,
            p_holm=0.462,
            sentence="Passage: no association.",
        )
        probes = Probes(
            group_by=col.CLONE,
            label=col.DIAGNOSIS,
            classes=("ALS", "control"),
            positive="ALS",
            groups_per_class=(6, 6),
            outcome=Outcome.DOUBTFUL,
            verdict=("The score is more than chance.", "Few clones: 6 in the smallest class."),
            settings=ProbeSettings(
                n_splits=4,
                epochs=12,
                batch_size=32,
                learning_rate=0.01,
                momentum=0.9,
                hidden_units=64,
                dropout=0.5,
                l2=1e-4,
                n_features=512,
                projected_from=None,
            ),
            permutation=permutation,
            variables=(batch,),
            baseline=baseline,
            learning_curves=(curve,),
            held_out_batches=(held_out,),
            covariates=(passage,),
            provenance=provenance("probe"),
        )
        (self.folder / "probes.json").write_text(probes.to_json(), encoding="utf-8")

    # ── screen ──────────────────────────────────────────────────────────────────────────────

    def wells(self) -> pd.DataFrame:
        rng, rows = self.rng, []
        doses = (0.1, 1.0, 10.0)
        for well in PlateFormat.WELLS_96.wells():
            kind, compound, dose, center = "trt", None, None, 0.82
            if well.column in (0, 10):
                kind = "negcon"
            elif well.column in (1, 11):
                kind, center = "poscon", 0.16
            else:
                index = (well.column - 2) // 2
                compound = self.compounds[index]
                dose = doses[well.row % 3]
                rescued = {0: 0.0, 1: 0.9, 2: 0.1, 3: 0.5}[index] * (well.row % 3) / 2
                center -= 0.66 * rescued
            if well.name == "H12":
                kind = "empty"
            rows.append(
                {
                    col.MODEL: "cnn",
                    col.PLATE: self.screen_plate,
                    col.WELL: well.name,
                    col.PERT_TYPE: kind,
                    col.COMPOUND: compound,
                    col.CONCENTRATION_UM: dose,
                    col.SCORE: float(np.clip(rng.normal(center, 0.04), 0, 1)),
                    col.SCORE_SPREAD: 0.02,
                    col.N_IMAGES: 2,
                    col.N_CELLS: float(rng.poisson(18)) / 2,
                    col.USABLE: well.name != "C05",
                    col.FLAGS: "" if well.name != "C05" else "too-few-cells",
                }
            )
        return pd.DataFrame(rows)

    def hits(self) -> None:
        called, quality, _ = call_hits(self.wells())
        parquet.write_table(self.folder / "hits.parquet", called, provenance("hits"))
        parquet.write_table(self.folder / "plate_quality.parquet", quality)
        parquet.write_table(self.folder / "compounds.parquet", call_compounds(called))
        parquet.write_table(self.folder / "dose_fits.parquet", fit_doses(called))

    def problems(self) -> None:
        rows = [
            {
                "stage": "ingest",
                "file": "A - 01(fld 1 wv Blue).tif",
                col.PLATE: "cohort1",
                col.WELL: "A01",
                col.SITE: 1,
                "reason": "truncated",
                "message": "file ends after 1,024 of 8,192 bytes",
                "kept": False,
            },
            {
                "stage": "ingest",
                "file": "",
                col.PLATE: "cohort1",
                col.WELL: "D06",
                col.SITE: None,
                "reason": "no-images",
                "message": "the plate map names this well",
                "kept": True,
            },
        ]
        frame = parquet.problems_frame(rows)
        parquet.write_table(self.folder / "problems.parquet", frame)

    def planted(self) -> None:
        rows = [
            {
                "quantity": "total neurite length",
                "planted": 2143.0,
                "found": 2098.5,
                "unit": "µm",
                "note": "mean an image",
            },
            {"quantity": "hits", "planted": 8, "found": 8, "unit": "wells", "note": ""},
        ]
        (self.folder / "planted.json").write_text(json.dumps(rows), encoding="utf-8")


@pytest.fixture
def builder(tmp_path: Path) -> Builder:
    folder = tmp_path / "study"
    folder.mkdir()
    return Builder(folder)


@pytest.fixture(scope="session")
def full_study(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    """A study with every piece; tests must not change it."""
    builder = Builder(tmp_path_factory.mktemp("report") / "study")
    builder.folder.mkdir()
    builder.everything()
    return builder


@pytest.fixture(scope="session")
def full_report(full_study: Builder) -> Path:
    """The page of that study."""
    out = full_study.folder.parent / "report.html"
    result = write_report(ReportConfig(study=str(full_study.folder), out=str(out)))
    assert (result.stage, result.out) == ("report", str(out))
    assert result.summary["missing pieces"] == 0
    return out
