"""The command ``hcs``: one command a stage, and one for a whole study."""

from __future__ import annotations

from collections.abc import Callable

import typer

from hcs_cli.blind import blind
from hcs_cli.calling import hits
from hcs_cli.features import features
from hcs_cli.gallery import gallery
from hcs_cli.ingest import ingest
from hcs_cli.judge import evaluate, forest, report
from hcs_cli.machine import doctor, schema
from hcs_cli.network import embed, stack, train
from hcs_cli.plates import info, validate
from hcs_cli.probe import probe
from hcs_cli.screen import explain, export, predict
from hcs_cli.simulate import simulate
from hcs_cli.splits import splits
from hcs_cli.study import demo, run

app = typer.Typer(
    name="hcs",
    help="High-content screening: plates of images in, scored and classified screens out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

_PANELS: dict[str, tuple[Callable[..., None], ...]] = {
    "Start here": (demo, run, simulate, doctor),
    "Plates": (ingest, validate, info, features, gallery),
    "Classifier": (splits, stack, embed, train, forest, evaluate, probe, explain, export),
    "Screen": (predict, hits, report),
}

for panel, commands in _PANELS.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)
app.add_typer(schema, name="schema", rich_help_panel="Start here")
app.add_typer(blind, name="blind", rich_help_panel="Plates")


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
