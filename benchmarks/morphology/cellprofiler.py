"""CellProfiler as a peer of ``speed.py``: a plain neuron pipeline, timed by itself.

CellProfiler 4.2 needs a Python 3.9 of its own, so the pipeline is built and run by that Python.
Its log names the processor and wall time of every module for every image, which leaves out the
start of Python and Java.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

_LINE = re.compile(r"module (\w+) # \d+: CPU_time = ([\d.]+) secs, Wall_time = ([\d.]+) secs")


def cellprofiler(python: str, images: Sequence[np.ndarray]) -> dict[str, Any]:
    """Time CellProfiler's modules on the images.

    Parameters
    ----------
    python
        Interpreter of an environment that has CellProfiler 4.2.
    images
        Fields, each read from a TIFF of its own.

    Returns
    -------
    dict
        A row of the table: seconds a field, all modules and reading included.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("in", "out"):
            (folder / part).mkdir()
        for index, image in enumerate(images):
            tifffile.imwrite(folder / "in" / f"field{index:02d}.tif", image)
        pipeline = folder / "neurons.cppipe"
        run = [python, "-m", "cellprofiler", "-c", "-r", "-L", "INFO", "-p", str(pipeline)]
        run += ["-i", str(folder / "in"), "-o", str(folder / "out")]
        # Its modules live where Python looks for nothing of ours.
        own = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        own["OMP_NUM_THREADS"] = "1"
        _run_command([python, "-c", _BUILD, str(pipeline)], own)
        log = _run_command(run, own)
    found = [(module, float(cpu), float(wall)) for module, cpu, wall in _LINE.findall(log)]
    measured = sum(module == "MeasureObjectSkeleton" for module, _, _ in found)
    if measured != len(images):
        msg = f"CellProfiler finished {measured} of {len(images)} fields:\n{log[-2000:]}"
        raise RuntimeError(msg)
    n = len(images)
    return {
        "what": "CellProfiler 4.2, plain neuron pipeline",
        "s/field": sum(wall for _, _, wall in found) / n,
        "CPU s/field": sum(cpu for _, cpu, _ in found) / n,
    }


def _run_command(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        msg = f"{command[:3]} failed:\n{done.stderr[-2000:]}"
        raise RuntimeError(msg)
    return done.stdout + done.stderr


_BUILD = """
import sys
import cellprofiler_core.preferences
cellprofiler_core.preferences.set_headless()
from cellprofiler_core.pipeline import Pipeline
from cellprofiler_core.utilities.core.modules import fill_modules, instantiate_module
fill_modules()
pipeline = Pipeline()
steps = [
    ("Images", {}),
    ("Metadata", {}),
    ("NamesAndTypes", {"Name to assign these images": "Tuj1"}),
    ("Groups", {}),
    ("Opening", {"Select the input image": "Tuj1", "Name the output image": "Bodies",
                 "Structuring element": "Disk,5"}),
    ("IdentifyPrimaryObjects", {
        "Select the input image": "Bodies",
        "Name the primary objects to be identified": "Somas",
        "Typical diameter of objects, in pixel units (Min,Max)": "12,40",
        "Discard objects touching the border of the image?": "No"}),
    ("EnhanceOrSuppressFeatures", {
        "Select the input image": "Tuj1", "Name the output image": "Tubes",
        "Select the operation": "Enhance", "Feature type": "Neurites",
        "Enhancement method": "Tubeness", "Smoothing scale": "1.5"}),
    ("Threshold", {"Select the input image": "Tubes", "Name the output image": "Lines"}),
    ("MorphologicalSkeleton", {"Select the input image": "Lines",
                               "Name the output image": "Skeleton"}),
    ("MeasureObjectSkeleton", {"Select the seed objects": "Somas",
                               "Select the skeletonized image": "Skeleton"}),
]
for number, (name, values) in enumerate(steps, start=1):
    module = instantiate_module(name)
    module.set_module_num(number)
    pipeline.add_module(module)
    for text, value in values.items():
        settings = [s for s in module.settings() if s.text == text]
        assert settings, (name, text)
        for setting in settings:
            setting.value = value
with open(sys.argv[1], "w") as stream:
    pipeline.dump(stream)
"""
