"""The page of definitions and the docstrings say the same."""

import re
from pathlib import Path

from hcs.screen import effects
from hcs.words import definitions

PAGE = Path(__file__).resolve().parents[2] / "docs" / "statistics.md"


def test_the_page_is_in_step_with_the_docstrings():
    assert PAGE.read_text(encoding="utf-8") == definitions.as_markdown(), "run: make schemas"


def test_a_docstring_gives_its_definition_and_its_source():
    about, references = definitions.read_docstring(effects.z_prime)
    assert about == "Z' factor: 1 − 3 (SD⁺ + SD⁻) / abs(mean⁺ − mean⁻)."
    doi = "10.1177/108705719900400206"
    assert references.endswith(f"4:67-73, [doi {doi}](https://doi.org/{doi}).")


def test_published_methods_name_their_source():
    text = definitions.as_markdown()
    parts = re.split(r"\n### ", text)[1:]
    bare = [part.splitlines()[0] for part in parts if "*Source:*" not in part]
    assert bare == [
        "Coefficient of variation",
        "Rescue",
        "Tests of all plates together",
        "Advice",
        "Absolute EC50",
        "Area under a curve",
    ]
    assert all("*When:*" in part for part in parts)
