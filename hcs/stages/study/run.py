"""All stages of a study in order, from one file; what is already done is skipped."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from hcs.compute import progress
from hcs.domain.config import presets, studies
from hcs.domain.config import stages as cfg
from hcs.domain.config.planes import AllTimes
from hcs.domain.results import StageResult
from hcs.errors import Fault, FaultsError, UnknownNameError
from hcs.io import layouts
from hcs.io.files import parquet
from hcs.io.files.atomic import write_json
from hcs.io.files.settings import read_mapping
from hcs.learn.network.weights import resolve_weights
from hcs.stages import (
    embed,
    evaluate,
    features,
    forest,
    hits,
    ingest,
    predict,
    probe,
    splits,
    stack,
    train,
)
from hcs.stages.study import planning, planted
from hcs.words.settings import explain_setting

if TYPE_CHECKING:
    from distributed import Client

STAGE: Final = "study"

PLATES: Final = "plates"
FEATURES: Final = "features.parquet"
SPLITS: Final = "splits.json"
STACK: Final = "stack.zarr"
BANK: Final = "bank.zarr"
MODELS: Final = "models"
FOREST: Final = "forest"
EVALUATION: Final = "evaluation.json"
PROBES: Final = "probes.json"
PREDICTIONS: Final = "predictions.parquet"
HITS: Final = "hits.parquet"


def read_study(path: str) -> studies.StudyConfig:
    """Read a study file; relative paths in it are relative to the file.

    Raises
    ------
    NotFoundError, InputError
        When there is no such file, or it is not YAML with a mapping.
    FaultsError
        When settings cannot be used: all of them at once.
    """
    content = read_mapping(path, "study file")
    try:
        study = studies.StudyConfig.model_validate(presets.with_preset(content))
    except UnknownNameError as error:
        fault = Fault(file=path, column=presets.KEY, message=str(error))
        raise FaultsError(path, [fault]) from error
    except ValidationError as error:
        raise FaultsError(path, _list_faults(path, error)) from error
    _refuse_remote(path, study)
    return _anchor(study, Path(path).resolve().parent)


def _list_faults(path: str, error: ValidationError) -> list[Fault]:
    """List what is wrong, without what only follows: a list is too short by its faulty entries."""
    items = error.errors()
    within = {item["loc"][:n] for item in items for n in range(len(item["loc"]))}
    return [
        _fault(path, item)
        for item in items
        if item["type"] != "too_short" or item["loc"] not in within
    ]


def _refuse_absent(study: studies.StudyConfig) -> None:
    """Refuse files that the study names and that are not there, all at once and before any work."""
    named = [
        (f"plates.{number}.{name}", getattr(plate, name))
        for number, plate in enumerate(study.plates)
        for name in ("source", "platemap", "barcodes")
    ]
    faults = [
        Fault(file=value, column=place, message="there is no such file or folder")
        for place, value in (*named, ("truth", study.truth))
        if value is not None and "://" not in value and not Path(value).exists()
    ]
    if faults:
        raise FaultsError(f"study {study.name}", faults)


def _fault(path: str, item: Mapping[str, Any]) -> Fault:
    place = ".".join(str(part) for part in item.get("loc", ()))
    message, value = explain_setting(item)
    return Fault(file=path, column=place or None, message=message, value=value)


def _refuse_remote(path: str, study: studies.StudyConfig) -> None:
    """Refuse an object store as the study's folder; plates and sources may lie on one."""
    if "://" in study.out:
        fault = Fault(
            file=path,
            column="out",
            value=study.out,
            message="a study's folder must lie on a disk (plates and sources may be s3://…); to "
            "write single outputs to an object store run the stages one by one",
        )
        raise FaultsError(path, [fault])


def _anchor(study: studies.StudyConfig, folder: Path) -> studies.StudyConfig:
    def place(path: str | None) -> str | None:
        if path is None or "://" in path:
            return path
        return str(folder / path)

    plates = tuple(
        plate.model_copy(
            update={
                name: place(getattr(plate, name)) for name in ("source", "platemap", "barcodes")
            }
        )
        for plate in study.plates
    )
    weights = study.embed.backbone.weights
    if weights not in {"imagenet", "random"}:
        base = study.embed.backbone.model_copy(update={"weights": place(weights)})
        study = study.model_copy(
            update={"embed": study.embed.model_copy(update={"backbone": base})}
        )
    return study.model_copy(
        update={"plates": plates, "out": place(study.out), "truth": place(study.truth)}
    )


def with_weights(study: studies.StudyConfig, weights: str) -> studies.StudyConfig:
    """Return the study with other weights of the base."""
    base = study.embed.backbone.model_copy(update={"weights": weights})
    embedding = study.embed.model_copy(update={"backbone": base})
    return study.model_copy(update={"embed": embedding})


def run(study: studies.StudyConfig, client: Client | None = None) -> StageResult:
    """Run the whole study into ``study.out``.

    Raises
    ------
    HcsError
        Whatever a stage raises; what was finished stays, and the next run goes on from there.
    """
    started = time.time()
    _refuse_absent(study)
    planning.refuse_shortages(study)
    # Said before hours of work rather than after them.
    weights = resolve_weights(study.embed.backbone)
    progress.current().say(f"weights: {weights.description}")
    results = list(run_stages(study, client))
    problems = tuple(problem for result in results for problem in result.problems)
    out = Path(study.out)
    parquet.write_table(
        out / "problems.parquet", parquet.problems_frame(item.row() for item in problems)
    )
    write_json(out / "study.json", study)
    compared = planted.compare(study.truth, study.out) if study.truth else ()
    return StageResult(
        stage=STAGE,
        out=study.out,
        summary={**_summarize(results), **_describe_planted(compared)},
        n_run=sum(result.n_run for result in results),
        n_skipped=sum(result.n_skipped for result in results),
        problems=problems,
        seconds=time.time() - started,
    )


def _summarize(results: Sequence[StageResult]) -> dict[str, str | int | float]:
    shown: dict[str, str | int | float] = {}
    for result in results:
        if result.stage in {evaluate.STAGE, probe.STAGE, hits.STAGE}:
            shown.update(result.summary)
        if result.stage == embed.STAGE:
            shown["weights"] = result.summary["weights"]
    return shown


def _describe_planted(rows: Sequence[planted.Comparison]) -> dict[str, str | int | float]:
    shown: dict[str, str | int | float] = {}
    for row in rows:
        note = f"; {row.note}" if row.note else ""
        unit = f" {row.unit}" if row.unit else ""
        shown[f"{row.quantity} (simulated)"] = (
            f"planted {row.planted}{unit}, found {row.found}{unit}{note}"
        )
    return shown


def run_stages(study: studies.StudyConfig, client: Client | None = None) -> Iterable[StageResult]:
    """Yield the result of every stage of a study, in order, as it ends."""
    out = Path(study.out)
    paths = {plate.name: _locate_plate(plate, out) for plate in study.plates}
    for plate in study.plates:
        yield _say_done(ingest.run(_make_ingest_config(plate, paths[plate.name]), client))
    cohort = tuple(paths[plate.name] for plate in study.plates if plate.role == "cohort")
    screen = tuple(paths[plate.name] for plate in study.plates if plate.role == "screen")
    everything = (*cohort, *screen)
    yield _say_done(
        features.run(
            cfg.FeaturesConfig(
                plates=everything,
                out=str(out / FEATURES),
                channel=study.channel,
                plane=study.plane,
                time=None if study.time is None else AllTimes(),
                morphology=study.morphology,
            ),
            client,
        )
    )
    yield from _run_classifiers(study, cohort, client)
    if screen:
        yield from _run_screen(study, screen, client)


def _say_done(result: StageResult) -> StageResult:
    """Say on the screen what a stage did, as it ends."""
    done = f"{result.n_run} done" + (
        f", {result.n_skipped} were done before" if result.n_skipped else ""
    )
    progress.current().say(f"{result.stage}: {done}, {result.seconds:.1f} s")
    return result


def _locate_plate(plate: studies.StudyPlate, out: Path) -> str:
    """Where a plate lies; one that is OME-Zarr already is used where it is, unless projected."""
    in_place = plate.projection == "keep" and layouts.is_plate(plate.source)
    return plate.source if in_place else str(out / PLATES / f"{plate.name}.zarr")


def _make_ingest_config(plate: studies.StudyPlate, out: str) -> cfg.IngestConfig:
    return cfg.IngestConfig(
        out=out,
        plate_name=plate.name,
        **{name: getattr(plate, name) for name in cfg.IngestOptions.model_fields},
    )


def _run_classifiers(
    study: studies.StudyConfig, cohort: tuple[str, ...], client: Client | None
) -> Iterable[StageResult]:
    out = Path(study.out)
    splits_file, bank, seed = str(out / SPLITS), str(out / BANK), study.seed
    yield _say_done(
        splits.run(
            cfg.SplitsConfig(plates=cohort, out=splits_file, seed=seed, **study.splits.model_dump())
        )
    )
    yield _say_done(
        stack.run(
            cfg.StackConfig(
                plates=cohort,
                out=str(out / STACK),
                channel=study.channel,
                plane=study.plane,
                time=study.time,
                **study.stack.model_dump(),
            ),
            client,
        )
    )
    embedding = cfg.EmbedConfig(stack=str(out / STACK), out=bank, seed=seed, **dict(study.embed))
    yield _say_done(embed.run(embedding, client))
    training = cfg.TrainConfig(
        bank=bank, splits=splits_file, out=str(out / MODELS), seed=seed, **dict(study.train)
    )
    yield _say_done(train.run(training, client))
    baseline = cfg.ForestConfig(
        features=str(out / FEATURES),
        splits=splits_file,
        out=str(out / FOREST),
        time=study.time,
        seed=seed,
        **dict(study.forest),
    )
    yield _say_done(forest.run(baseline, client))
    yield _say_done(
        evaluate.run(
            cfg.EvaluateConfig(
                models=(str(out / MODELS), str(out / FOREST)),
                out=str(out / EVALUATION),
                seed=seed,
            )
        )
    )
    if study.probes is not None:
        yield _say_done(probe.run(_make_probe_config(study, study.probes, cohort), client))


def _make_probe_config(
    study: studies.StudyConfig, probes: cfg.ProbeOptions, cohort: tuple[str, ...]
) -> cfg.ProbeConfig:
    out = Path(study.out)
    return cfg.ProbeConfig(
        bank=str(out / BANK),
        splits=str(out / SPLITS),
        models=(str(out / MODELS), str(out / FOREST)),
        features=str(out / FEATURES),
        plates=cohort,
        out=str(out / PROBES),
        head=study.train.head,
        batch_size=study.train.batch_size,
        seed=study.seed,
        **probes.model_dump(),
    )


def _run_screen(
    study: studies.StudyConfig, screen: tuple[str, ...], client: Client | None
) -> Iterable[StageResult]:
    out = Path(study.out)
    scores = cfg.PredictConfig(
        models=str(out / MODELS),
        plates=screen,
        out=str(out / PREDICTIONS),
        batch_images=study.embed.batch_images,
    )
    yield _say_done(predict.run(scores, client))
    called = cfg.HitsConfig(
        source=cfg.ScoresOfImages(path=str(out / PREDICTIONS), features=str(out / FEATURES)),
        out=str(out / HITS),
        time=study.time,
        **dict(study.hits),
    )
    yield _say_done(hits.run(called))
