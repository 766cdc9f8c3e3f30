"""Run the quick benchmarks, one after the other: ``make bench``."""

from __future__ import annotations

import subprocess
import sys

QUICK = ("memory.stages", "bench_screen", "checks.resume")


def main() -> None:
    """Run each in a process of its own; stop at the first that fails."""
    for name in QUICK:
        print(f"── {name}")
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)


if __name__ == "__main__":
    main()
