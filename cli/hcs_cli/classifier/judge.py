"""``hcs forest``, ``hcs evaluate``: the baseline and the judgement."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from hcs_cli import options


def forest(
    features_path: Annotated[
        str, typer.Argument(metavar="FEATURES", help="Table that hcs features wrote.")
    ],
    splits_path: options.Splits,
    out: Annotated[str, typer.Option("--out", help="Folder to write.")] = "forest",
    feature_set: Annotated[
        str,
        typer.Option(
            "--features",
            help="Which to train on: classic (count, soma area, neurite length) or full.",
        ),
    ] = "classic",
    time: options.OneTime = None,
    n_trees: Annotated[int, typer.Option(min=1, help="Trees.")] = 500,
    seed: options.Seed = 0,
    cluster: options.Cluster = "local",
    as_json: options.AsJson = False,
) -> None:
    """Train a random forest on morphology, on the same splits as the network.

    Example: hcs forest features.parquet splits.json --out forest
    """
    from hcs_cli.running import run_stage

    def stage(client: Any) -> Any:  # noqa: ANN401
        from hcs.domain.config.stages import ForestConfig
        from hcs.stages import forest as stages_forest

        settings: dict[str, Any] = {
            "features": features_path,
            "splits": splits_path,
            "out": out,
            "feature_set": feature_set,
            "time": time,
            "n_trees": n_trees,
            "seed": seed,
        }
        return stages_forest.run(ForestConfig.model_validate(settings), client)

    run_stage(stage, cluster=cluster, as_json=as_json)


def evaluate(
    models: Annotated[
        list[str],
        typer.Argument(metavar="MODELS…", help="Folders that hcs train and hcs forest wrote."),
    ],
    out: Annotated[str, typer.Option("--out", help="File to write.")] = "evaluation.json",
    seed: options.Seed = 0,
    as_json: options.AsJson = False,
) -> None:
    """Judge the classifiers: accuracy, ROC AUC, per clone, mean ± SD over splits.

    Example: hcs evaluate models forest --out evaluation.json
    """
    from hcs_cli.running import run_stage

    def stage(_client: Any) -> Any:  # noqa: ANN401
        from hcs.domain.config.stages import EvaluateConfig
        from hcs.stages import evaluate as stages_evaluate

        return stages_evaluate.run(EvaluateConfig(models=tuple(models), out=out, seed=seed))

    run_stage(stage, cluster=None, as_json=as_json)
