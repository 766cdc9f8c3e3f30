"""Charts of the probes: shuffled labels, what else the features tell, learning curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from bokeh.models import ColumnDataSource, Range1d
from bokeh.models.annotations.geometry import Span

from hcs.domain.probing import LearningCurve, PermutationProbe, VariableProbe
from hcs.report import wording
from hcs.report.charts import style

OBSERVED_COLOR: Final = "#0072b2"
NULL_COLOR: Final = "#9aa5b1"

_BIN_WIDTH: Final = 0.025


def permutation_figure(probe: PermutationProbe) -> Any:  # noqa: ANN401 - bokeh is untyped here
    """Histogram of the AUC with shuffled labels, the real one as a line."""
    edges = np.arange(0.0, 1.0 + _BIN_WIDTH / 2, _BIN_WIDTH)
    counts, _ = np.histogram(np.asarray(probe.null), bins=edges)
    plot = style.new_figure(
        460,
        280,
        x_label="mean ROC AUC",
        y_label="shuffles",
        x_range=Range1d(start=0, end=1.02),
        y_range=Range1d(start=0, end=max(1, int(counts.max(initial=0))) * 1.15),
    )
    data: dict[str, Any] = {"left": edges[:-1], "right": edges[1:], "top": counts}
    bars = plot.quad(
        left="left",
        right="right",
        top="top",
        bottom=0,
        source=ColumnDataSource(data),
        fill_color=NULL_COLOR,
        line_color="#ffffff",
    )
    style.add_hover(plot, [("AUC", "@left{0.000} to @right{0.000}"), ("shuffles", "@top")], [bars])
    if probe.observed is not None:
        line = Span(
            location=probe.observed, dimension="height", line_color=OBSERVED_COLOR, line_width=3
        )
        plot.add_layout(line)
    return plot


def variables_figure(probes: Sequence[VariableProbe]) -> Any:  # noqa: ANN401
    """Balanced accuracy of every variable that could be tested, with the range under shuffling."""
    shown = [probe for probe in probes if probe.balanced_accuracy is not None]
    plot = style.new_figure(
        460,
        74 + 30 * len(shown),
        x_label="balanced accuracy",
        x_range=(-0.02, 1.02),
        y_range=Range1d(start=len(shown) - 0.4, end=-0.6),
    )
    data: dict[str, Any] = {
        "y": list(range(len(shown))),
        "name": [wording.noun(probe.variable) for probe in shown],
        "accuracy": [probe.balanced_accuracy for probe in shown],
        "chance": [probe.chance for probe in shown],
        "low": [style.replace_none(probe.null_low, probe.chance) for probe in shown],
        "high": [style.replace_none(probe.null_high, probe.chance) for probe in shown],
        "p": [wording.p_value(probe.p_value) for probe in shown],
    }
    source = ColumnDataSource(data)
    plot.segment(
        "low", "y", "high", "y", source=source, line_color=NULL_COLOR, line_width=9, line_alpha=0.5
    )
    dots = plot.scatter("accuracy", "y", source=source, size=10, color=OBSERVED_COLOR)
    style.name_ticks(plot.yaxis[0], data["y"], [wording.cut_name(name) for name in data["name"]])
    plot.ygrid.grid_line_color = None
    tips = [
        ("", "@name"),
        ("balanced accuracy", "@accuracy{0.00}"),
        ("shuffled", "@low{0.00} to @high{0.00}"),
        ("p", "@p"),
    ]
    style.add_hover(plot, tips, [dots])
    return plot


def learning_figure(curve: LearningCurve, label: str) -> Any:  # noqa: ANN401
    """Test AUC (mean, band of one SD over splits) against the amount of training data."""
    points = [point for point in curve.points if point.auc_mean is not None]
    amount = [p.n_groups if curve.varied == "groups" else p.n_images for p in points]
    mean = np.array([point.auc_mean for point in points], dtype=np.float64)
    sd = np.array([point.auc_sd or 0.0 for point in points], dtype=np.float64)
    data: dict[str, Any] = {
        "amount": amount,
        "mean": mean,
        "low": np.clip(mean - sd, 0, 1),
        "high": np.clip(mean + sd, 0, 1),
    }
    plot = style.new_figure(460, 280, x_label=label, y_label="test ROC AUC")
    style.name_ticks(plot.xaxis[0], amount, [str(n) for n in amount])
    source = ColumnDataSource(data)
    plot.varea("amount", "low", "high", source=source, fill_color=OBSERVED_COLOR, fill_alpha=0.15)
    plot.line("amount", "mean", source=source, line_color=OBSERVED_COLOR, line_width=2)
    dots = plot.scatter("amount", "mean", source=source, size=7, color=OBSERVED_COLOR)
    tips = [("training data", "@amount"), ("AUC", "@mean{0.00} (@low{0.00} to @high{0.00})")]
    style.add_hover(plot, tips, [dots])
    return plot
