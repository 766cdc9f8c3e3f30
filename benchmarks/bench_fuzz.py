"""Damages the files of every reader thousands of times: tracebacks, hangs, memory.

    python -m benchmarks.bench_fuzz [--mutations 2000] [--first 0] [--only READER ...]

Each reader of ``tests/helpers/damage.py`` runs in a process of its own: a small whole input is
written, one of its files is damaged (bits, bytes, cuts, insertions, tokens that break parsers),
read, and mended. What is raised must be an error of hcs; a mutation that takes more than 10 s is a
hang and ends the process of its reader; memory is the peak of that process beyond what it had when
the undamaged input was read. A mutation that is read without an error may or may not have changed a
number: that is what checksums are for, and is not judged here.
"""

from __future__ import annotations

import argparse
import multiprocessing as mp
import resource
import shutil
import signal
import sys
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks._table import WORK, report

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "helpers"))

HANG_SECONDS = 10


class HangError(BaseException):
    """Raised in the middle of whatever hangs."""


def _end_hang(_signal: int, _frame: object) -> None:
    raise HangError


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def fuzz(name: str, first: int, count: int, folder: Path, answers: Any) -> None:  # noqa: ANN401
    """Damage one reader's files; runs in a process of its own."""
    from damage import READERS, Bench

    from hcs.errors import HcsError

    warnings.simplefilter("ignore")
    reader = next(reader for reader in READERS if reader.name == name)
    bench = Bench(reader, folder)
    before, refused, read = _peak_mib(), 0, 0
    bad: Counter[str] = Counter()
    slowest = 0.0
    started = time.perf_counter()
    signal.signal(signal.SIGALRM, _end_hang)
    for seed in range(first, first + count):
        began = time.process_time()
        signal.alarm(HANG_SECONDS * 3)  # of the clock: the machine may be busy
        try:
            error = bench.attempt(seed)
        except HangError:
            bad[f"hang (seed {seed})"] += 1
            continue
        finally:
            signal.alarm(0)
        slowest = max(slowest, time.process_time() - began)
        if error is None:
            read += 1
        elif isinstance(error, HcsError):
            refused += 1
        else:
            text = " ".join(repr(error).split())[:100]
            bad[text] += 1
            if bad[text] == 1:
                print(f"  {name}, seed {seed}: {text}", flush=True)
    answers.put(
        {
            "reader": name,
            "mutations": count,
            "refused in a sentence": refused,
            "read": read,
            "tracebacks": sum(n for text, n in bad.items() if not text.startswith("hang")),
            "hangs": sum(n for text, n in bad.items() if text.startswith("hang")),
            "slowest, s of processor": round(slowest, 2),
            "memory beyond the input, MiB": round(_peak_mib() - before),
            "s": round(time.perf_counter() - started, 1),
        }
    )


def main() -> None:
    """Fuzz one reader after the other."""
    from damage import READERS

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mutations", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=[reader.name for reader in READERS])
    given = parser.parse_args()
    context = mp.get_context("spawn")
    rows: list[dict[str, Any]] = []
    for name in given.only:
        folder = WORK / "fuzz"
        shutil.rmtree(folder, ignore_errors=True)
        answers: Any = context.Queue()
        arguments = (name, given.first, given.mutations, folder / "input", answers)
        process = context.Process(target=fuzz, args=arguments)
        process.start()
        process.join()
        ended = f"process ended with {process.exitcode}"
        rows.append(answers.get() if not process.exitcode else {"reader": name, "s": ended})
        print(f"  {rows[-1]}", flush=True)
    shutil.rmtree(WORK / "fuzz", ignore_errors=True)
    report("fuzz", rows, ["seeds from 0; one damaged file a mutation"])


if __name__ == "__main__":
    main()
