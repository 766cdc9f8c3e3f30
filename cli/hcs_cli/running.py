"""Runs one stage for a command: cluster, progress, result, problems, exit code."""

from __future__ import annotations

import io
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NoReturn

import typer

if TYPE_CHECKING:
    from distributed import Client
    from rich.progress import Progress

    from hcs.domain.config.stages import Cluster
    from hcs.domain.results import StageResult

DONE, FAILED, USAGE, DONE_WITH_PROBLEMS = 0, 1, 2, 3

_SHOWN_PROBLEMS = 20


class ProgressBars:
    """A progress bar on stderr for every piece of work."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True)
        self._progress: Progress | None = None

    def begin(self, label: str, total: int, done: int) -> None:
        """Show a bar; what an earlier run finished counts from the start."""
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        if done:
            self.say(f"{label}: {done} of {total} units are already done")
        self._progress = Progress(
            TextColumn("{task.description:<18}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
        )
        self._progress.add_task(label, total=total, completed=done)
        self._progress.start()

    def advance(self) -> None:
        """Move the bar by one."""
        if self._progress is not None:
            self._progress.advance(self._progress.task_ids[-1])

    def end(self) -> None:
        """Leave the bar as it is."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def say(self, text: str) -> None:
        """Print a line above the bars."""
        self._console.print(defuse(text), highlight=False, markup=False)


def parse_cluster(text: str) -> Cluster:
    """Turn the value of ``--cluster`` into a configuration."""
    from pydantic import TypeAdapter

    from hcs.domain.config import stages as config

    kind, _, count = text.partition(":")
    if kind == "local" and (not count or count.isdigit()):
        return config.LocalCluster(n_workers=int(count) if count else None)
    if text == "inline":
        return config.InlineCluster()
    if text == "gpu":
        return config.GpuCluster()
    if "://" in text:
        return config.ExistingCluster(address=text)
    section = read_yaml(text).get("cluster")
    adapter: TypeAdapter[Cluster] = TypeAdapter(config.Cluster)
    return adapter.validate_python(section)


def read_yaml(path: str) -> dict[str, Any]:
    """Read a YAML file that holds a mapping; nothing in it is executed."""
    from hcs.io.files.settings import read_mapping

    return read_mapping(path, "settings file")


def run_stage(
    stage: Callable[[Client | None], StageResult], *, cluster: str | Cluster | None, as_json: bool
) -> NoReturn:
    """Run a stage, show what it did, and leave with the exit code that says how it went.

    Parameters
    ----------
    stage
        Gets the Dask client (None without a cluster).
    cluster
        Value of ``--cluster``; None for stages that need no workers.
    as_json
        Print the result as JSON on stdout.
    """
    with errors_as_exit_codes():
        from hcs.compute import progress
        from hcs.compute.client import open_client
        from hcs.domain.config.stages import InlineCluster

        chosen = parse_cluster(cluster) if isinstance(cluster, str) else cluster
        with progress.show_on(ProgressBars()), open_client(chosen or InlineCluster()) as client:
            result = stage(client)
        show(result, as_json=as_json)
        raise typer.Exit(DONE_WITH_PROBLEMS if result.problems else DONE)


@contextmanager
def errors_as_exit_codes() -> Iterator[None]:
    """Turn errors into one message and an exit code: ours, the disk's, and what nobody foresaw."""
    from pydantic import ValidationError

    from hcs.errors import HcsError
    from hcs.io.files import storage

    quiet()
    try:
        with storage.plain_errors("the disk"):
            yield
    except (typer.Exit, typer.Abort, typer.BadParameter, BrokenPipeError):
        raise  # those of the command line itself
    except ValidationError as error:
        count = error.error_count()
        lines = ["a setting cannot be used:" if count == 1 else f"{count} settings cannot be used:"]
        lines += [f"  {_say(item)}" for item in error.errors()]
        fail("\n".join(lines), USAGE)
    except HcsError as error:
        fail(str(error), FAILED)
    except KeyboardInterrupt:
        fail("interrupted; finished units are kept, run the same command to go on", FAILED)
    except MemoryError:
        fail("there is not enough memory; finished units are kept, run it where more is", FAILED)
    except Exception as error:  # the edge of the command line: a fault of ours, kept for a report
        if os.environ.get("HCS_TRACEBACK"):
            raise
        fail(_keep_traceback(error), FAILED)


def _keep_traceback(error: Exception) -> str:
    """Write down a fault that hcs has no words for, and say where."""
    import tempfile
    import traceback

    from hcs.io.files.edge import describe_error

    with tempfile.NamedTemporaryFile(
        "w", prefix="hcs-fault-", suffix=".txt", delete=False, encoding="utf-8", errors="replace"
    ) as stream:
        stream.write("".join(traceback.format_exception(error)))
    return (
        f"{type(error).__name__}: {describe_error(error)}\nThis is a fault that hcs did not "
        "foresee; finished units are kept. The details for a report to its makers are in "
        f"{stream.name}"
    )


def _say(item: Mapping[str, Any]) -> str:
    """Say one fault of a configuration: where it is, what is wrong, and what stands there."""
    from hcs.words.settings import explain_setting

    place = ".".join(str(part) for part in item["loc"]) or "settings"
    text, value = explain_setting(item)
    return f"{place}: {text}" + ("" if value is None else f" (found {value!r})")


@contextmanager
def told_on_stderr() -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar on stderr for every kind of thing that is read."""
    bars = ProgressBars()
    shown = ""

    def told(what: str, n: int, total: int) -> None:
        nonlocal shown
        if what != shown:
            bars.end()
            bars.begin(what, total, 0)
            shown = what
        for _ in range(n):
            bars.advance()

    try:
        yield told
    finally:
        bars.end()


def fail(message: str, code: int) -> NoReturn:
    """Say what is wrong on stderr and leave."""
    typer.secho(f"error: {defuse(message)}", fg=typer.colors.RED, err=True)
    raise typer.Exit(code)


_CONTROLS: Final = {
    code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"
}


def defuse(text: str) -> str:
    """Write control characters out: in a file's name they would command the user's terminal."""
    return text.translate(_CONTROLS)


def quiet() -> None:
    """Silence what libraries print on their own; warnings of ours still show."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("ABSL_MIN_LOG_LEVEL", "3")
    if not sys.warnoptions:
        import warnings

        warnings.simplefilter("ignore")
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names of files may hold what is no text
            stream.reconfigure(errors="backslashreplace")


def show(result: StageResult, *, as_json: bool) -> None:
    """Print what a stage did."""
    if as_json:
        typer.echo(json.dumps(result.model_dump(mode="json"), ensure_ascii=False, indent=1))
        return
    typer.secho(defuse(f"{result.stage}: {result.out}"), bold=True)
    for name, value in result.summary.items():
        typer.echo(defuse(f"  {name}: {value}"))
    skipped = f", {result.n_skipped} were done before" if result.n_skipped else ""
    if result.written:
        typer.echo(f"  {result.n_run} units of work done{skipped}, {result.seconds:.1f} s")
    else:
        typer.echo("  a dry run: nothing was written")
    show_problems(result)


def show_problems(result: StageResult) -> None:
    """Print the problems as a table on stderr."""
    if not result.problems:
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{len(result.problems)} problems", title_justify="left")
    for heading in ("reason", "where", "what"):
        table.add_column(heading, overflow="fold")
    from rich.markup import escape

    for problem in result.problems[:_SHOWN_PROBLEMS]:
        place = " ".join(
            str(part) for part in (problem.plate, problem.well, problem.site) if part is not None
        )
        table.add_row(problem.reason.value, escape(defuse(place)), escape(defuse(problem.message)))
    console = Console(stderr=True)
    console.print(table)
    hidden = len(result.problems) - _SHOWN_PROBLEMS
    if hidden > 0:
        console.print(f"… and {hidden} more")
    if result.written:
        folder = result.out if result.stage == "study" else f"{result.out}.hcs"
        console.print(f"all of them: {folder}/problems.parquet", highlight=False)
