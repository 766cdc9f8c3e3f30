"""The command ``hcs``: one command a stage, and one for a whole study."""

from __future__ import annotations

from collections.abc import Callable

import typer

from hcs_cli.classifier.heads import explain, export
from hcs_cli.classifier.judge import evaluate, forest
from hcs_cli.classifier.network import embed, stack, train
from hcs_cli.classifier.probe import probe
from hcs_cli.classifier.splits import splits
from hcs_cli.plates.blind import blind
from hcs_cli.plates.check import info, validate
from hcs_cli.plates.convert import convert
from hcs_cli.plates.features import features
from hcs_cli.plates.gallery import gallery
from hcs_cli.plates.ingest import ingest
from hcs_cli.plates.segment import segment
from hcs_cli.screen.hits import hits
from hcs_cli.screen.predict import predict
from hcs_cli.study.machine import doctor, schema
from hcs_cli.study.report import report
from hcs_cli.study.run import demo, run
from hcs_cli.study.simulate import simulate

app = typer.Typer(
    name="hcs",
    help="High-content screening: plates of images in, scored and classified screens out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

_PANELS: dict[str, tuple[Callable[..., None], ...]] = {
    "Start here": (demo, run, report, simulate, doctor),
    "Plates": (ingest, validate, info, convert, features, gallery),
    "Classifier": (splits, stack, embed, train, forest, evaluate, probe, explain, export),
    "Screen": (predict, hits),
}

for panel, commands in _PANELS.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)
app.add_typer(schema, name="schema", rich_help_panel="Start here")
app.add_typer(blind, name="blind", rich_help_panel="Plates")
app.add_typer(segment, name="segment", rich_help_panel="Plates")


@app.callback(invoke_without_command=True)
def _root(
    *, version: bool = typer.Option(False, "--version", help="Show the version and leave.")
) -> None:
    """High-content screening: plates of images in, scored and classified screens out."""
    if version:
        import hcs

        typer.echo(f"hcs {hcs.__version__}")
        raise typer.Exit


def main() -> None:
    """Enter from the console script."""
    app()
