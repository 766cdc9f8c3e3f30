"""The statistics of a screen as a page of the documentation, written from their docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from hcs.screen import (
    aggregate,
    effects,
    false_hits,
    normalize,
    power,
    replicates,
    rescue,
    significance,
)
from hcs.screen.curves import bell, dose, growth, logistic
from hcs.screen.position import advice, correction, smooth, testing


class Definition(NamedTuple):
    """A statistic, where it comes from, and when to use it."""

    name: str
    source: Callable[..., Any]
    use: str


_SECTIONS: Final[dict[str, tuple[Definition, ...]]] = {
    "How well do the controls part?": (
        Definition("Z′", effects.z_prime, "Whether an assay can be screened at all; controls that"
                   " are near to normal, at least eight of each kind."),
        Definition("Robust Z′", effects.robust_z_prime, "The same where single control wells fail;"
                   " with few controls it varies more."),
        Definition("SSMD of the controls", effects.ssmd, "Compares assays and plates: unlike Z′ it"
                   " knows no best value, and has a meaning in probabilities."),
        Definition("Signal window", effects.signal_window, "As older protocols ask for it; Z′ says"
                   " the same."),
        Definition("Coefficient of variation", effects.coefficient_of_variation, "Values with a"
                   " true zero; never log-odds, which have none."),
    ),
    "From images to a well": (
        Definition("Score of a well", aggregate.well_scores, "Always; classifiers by mean"
                   " log-odds, because probabilities pile up at 0 and 1."),
    ),
    "One scale for all plates": (
        Definition("Robust z", normalize.z_score, "The default: against the negative controls of"
                   " the plate."),
        Definition("Percent of control", normalize.percent_of_control, "Values with a true zero"
                   " and one kind of control."),
        Definition("Percent inhibition (NPI)", normalize.percent_inhibition, "Both kinds of"
                   " controls well measured; a noisy positive control scales every well."),
        Definition("B-score", normalize.b_score, "Primary screens of single wells with row and"
                   " column effects, against the samples themselves; not where many wells of a"
                   " row or column are active."),
        Definition("Rescue", rescue.rescue_score, "How far a compound moves diseased wells toward"
                   " healthy ones, with the interval below."),
        Definition("Interval of the rescue", rescue.rescue_interval, "Beside every rescue of a"
                   " single well."),
    ),
    "Effects of the place": (
        Definition("Tests of the place", testing.position_tests, "Always made, before and after a"
                   " correction."),
        Definition("Tests of all plates together", testing.shared_position_tests, "Always made"
                   " from two plates on: small plates hide what they share."),
        Definition("Median polish", correction.median_polish, "Row and column effects that add up;"
                   " leaves the corners of an edge effect, and cannot see controls that fill rows"
                   " or columns."),
        Definition("Median filter", smooth.local_median, "Irregular patches; takes hits that stand"
                   " side by side for one."),
        Definition("LOESS", smooth.loess_surface, "Slopes and bowls, also under controls at the"
                   " side."),
        Definition("Step at the edge (loess-edge)", smooth.edge_step, "Evaporation: outermost"
                   " wells that differ from all others."),
        Definition("Advice", advice.try_corrections, "Given by itself where treated wells follow"
                   " their place."),
    ),
    "Is a well a hit?": (
        Definition("P value of a well", significance.prediction_p, "Stays honest with few controls,"
                   " where a z against an estimated spread does not."),
        Definition("Empirical p", significance.empirical_p, "Many negative controls whose values"
                   " are far from normal."),
        Definition("False-discovery rate", significance.adjust, "All tested wells of a model"
                   " together; toxic wells are not tested."),
        Definition("SSMD of a well", effects.robust_ssmd_of_single, "Hits by size of effect; knows"
                   " no rate of false ones."),
        Definition("Class of an SSMD", effects.ssmd_class, "Words for sizes of effects."),
        Definition("Measured false hits", false_hits.measure_false_hits, "Always made; said as a"
                   " problem where more than twice the stated rate is found."),
    ),
    "Replicates": (
        Definition("Combined values", replicates.combine, "The median by default; the mean where"
                   " single wells never fail, Stouffer's z for weak effects on many plates."),
        Definition("Combined p", replicates.combine_p, "Beside every combined value."),
        Definition("SSMD of replicates", effects.ssmd_of_replicates, "Two replicates or more."),
        Definition("Power", power.detectable_effects, "Before the next screen: how many replicates"
                   " for an effect of this size, from the spread of this one."),
    ),
    "Concentration": (
        Definition("Log-logistic curve", logistic.fit_curve, "Six values at four concentrations or"
                   " more."),
        Definition("Curves that turn back", bell.fit_bell, "Tested by itself from six"
                   " concentrations on; wells that lost their cells are left out before."),
        Definition("Absolute EC50", dose.concentration_at, "Compounds of different plateaus."),
        Definition("Area under a curve", dose.area_observed, "Where no curve can be fitted."),
        Definition("Growth-rate inhibition", growth.growth_rate_inhibition, "Cells that divide,"
                   " with counts at time zero."),
    ),
}  # fmt: skip

_END: Final = re.compile(
    r"^(Parameters|Returns|Raises|Examples|References|Attributes)\n-+$", re.MULTILINE
)


def as_markdown() -> str:
    """Return the page ``docs/statistics.md``."""
    head = (
        "# Statistics of a screen\n\n"
        "Written from the docstrings of `hcs/screen/` by `make schemas`; a test holds it to them. "
        "Each with its\ndefinition, its source and when to use it. SD⁺ and SD⁻ are those of the "
        "positive and the negative controls;\nMAD is the median absolute deviation, and times "
        "1.4826 it estimates a standard deviation.\n"
    )
    return head + "".join(_write_sections())


def _write_sections() -> Iterator[str]:
    for title, definitions in _SECTIONS.items():
        yield f"\n## {title}\n"
        for name, source, use in definitions:
            about, references = read_docstring(source)
            yield f"\n### {name}\n\n{about}\n\n*When:* {use}\n"
            if references:
                yield f"\n*Source:* {references}\n"


def read_docstring(source: Callable[..., Any]) -> tuple[str, str]:
    """Read what a function's docstring says before its parameters, and its references.

    Returns
    -------
    about, references
        As Markdown: names of code in single backticks, DOIs as links; empty where there are none.
    """
    text = inspect.getdoc(source) or ""
    heads = list(_END.finditer(text))
    about = text[: heads[0].start()] if heads else text
    parts = {
        head[1]: text[head.end() : after.start() if after else len(text)]
        for head, after in zip(heads, [*heads[1:], None][: len(heads)], strict=True)
    }
    paragraphs = [" ".join(part.split()) for part in about.strip().split("\n\n")]
    references = " ".join(parts.get("References", "").split())
    return "\n\n".join(map(_mark, paragraphs)), _mark(references)


def _mark(text: str) -> str:
    text = re.sub(r":\w+:`~?(?:[\w.]*\.)?(\w+)`", r"`\1`", text).replace("``", "`")
    linked = re.sub(r"doi (10\.\S+?)([.,;)]*)(?=\s|$)", r"[doi \1](https://doi.org/\1)\2", text)
    return re.sub(r"(?<![`\w])\*(?![\s*])", r"\\*", linked)
