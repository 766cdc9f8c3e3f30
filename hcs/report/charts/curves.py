"""Charts of the classifiers: ROC with band, calibration, training history, scores of clones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from bokeh.models import ColumnDataSource, Range1d
from bokeh.models.annotations.geometry import Span

from hcs.domain.evaluation import GroupScore, MeanRoc, ModelEvaluation
from hcs.report import wording
from hcs.report.charts import style

_PADDED: Final = (-0.02, 1.02)
_ROW_PX: Final = 19
_ROW_AXES_PX: Final = 74


def roc_figure(curves: Mapping[str, MeanRoc]) -> Any:  # noqa: ANN401 - bokeh is untyped here
    """Mean ROC curve of every model with a band of one standard deviation between splits.

    Parameters
    ----------
    curves
        Curve by model name.
    """
    plot = _unit_square("false-positive rate", "true-positive rate")
    for position, (model, roc) in enumerate(curves.items()):
        mean, sd = np.asarray(roc.tpr_mean), np.asarray(roc.tpr_sd)
        data = {
            "fpr": np.asarray(roc.fpr),
            "mean": mean,
            "low": np.clip(mean - sd, 0, 1),
            "high": np.clip(mean + sd, 0, 1),
        }
        source = ColumnDataSource(data)
        color = style.model_color(model, position)
        plot.varea("fpr", "low", "high", source=source, fill_color=color, fill_alpha=0.15)
        # A curve starts where nothing is called positive, also where the grid's first mean is high.
        plot.line([0, 0], [0, mean[0]], line_color=color, line_width=2.5)
        line = plot.line("fpr", "mean", source=source, line_color=color, line_width=2.5)
        tips = [
            ("false-positive rate", "@fpr{0.00}"),
            ("mean true-positive rate", "@mean{0.00}"),
            ("mean ± 1 SD", "@low{0.00} to @high{0.00}"),
        ]
        style.add_hover(plot, tips, [line])
    return plot


def calibration_figure(models: Sequence[ModelEvaluation]) -> Any:  # noqa: ANN401
    """Share of the positive class against the mean score, in bins of the score."""
    plot = _unit_square("score given", "share of positive images")
    for position, model in enumerate(models):
        bins = [b for b in model.calibration if b.n > 0 and b.mean_score is not None]
        data: dict[str, Any] = {
            "score": [b.mean_score for b in bins],
            "share": [b.positive_share for b in bins],
            "n": [b.n for b in bins],
        }
        source = ColumnDataSource(data)
        color = style.model_color(model.model, position)
        plot.line("score", "share", source=source, line_color=color, line_width=1.5)
        dots = plot.scatter("score", "share", source=source, size=7, color=color)
        tips = [("score", "@score{0.00}"), ("share", "@share{0.00}"), ("images", "@n{0,0}")]
        style.add_hover(plot, tips, [dots])
    return plot


def _unit_square(x_label: str, y_label: str) -> Any:  # noqa: ANN401
    plot = style.new_figure(
        440, 410, x_label=x_label, y_label=y_label, x_range=_PADDED, y_range=_PADDED
    )
    plot.line([0, 1], [0, 1], line_color="#9aa5b1", line_dash="dashed", line_width=1)
    return plot


def groups_figure(groups: Sequence[GroupScore], colors: Mapping[str, str]) -> Any:  # noqa: ANN401
    """Score of every group (clone) with its interval, one line each, coloured by its class.

    Filled marks are called right, hollow ones wrong. Groups without a score have no mark.
    """
    shown = [group for group in groups if group.score is not None]
    plot = style.new_figure(
        460,
        _ROW_AXES_PX + _ROW_PX * len(shown),
        x_label="score (0 to 1)",
        x_range=_PADDED,
        y_range=Range1d(start=len(shown) - 0.4, end=-0.6),
    )
    data: dict[str, Any] = {
        "y": list(range(len(shown))),
        "group": [group.group for group in shown],
        "label": [group.label for group in shown],
        "score": [group.score for group in shown],
        "low": [style.replace_none(group.ci_low, group.score) for group in shown],
        "high": [style.replace_none(group.ci_high, group.score) for group in shown],
        "accuracy": [style.replace_none(group.accuracy, np.nan) for group in shown],
        "n_images": [group.n_images for group in shown],
        "n_wells": [group.n_wells for group in shown],
        "n_splits": [group.n_splits for group in shown],
        "color": [colors.get(group.label, style.MUTED) for group in shown],
        "fill": [
            colors.get(group.label, style.MUTED) if group.correct else "#ffffff" for group in shown
        ],
    }
    source = ColumnDataSource(data)
    half = Span(location=0.5, dimension="height", line_color="#9aa5b1", line_dash="dashed")
    plot.add_layout(half)
    bars = plot.segment("low", "y", "high", "y", source=source, line_color="color", line_width=3)
    dots = plot.scatter(
        "score", "y", source=source, size=9, line_color="color", fill_color="fill", line_width=2
    )
    style.name_ticks(plot.yaxis[0], data["y"], [wording.cut_name(g.group) for g in shown])
    plot.ygrid.grid_line_color = None
    tips = [
        ("", "@group (@label)"),
        ("score", "@score{0.00} (@low{0.00} to @high{0.00})"),
        ("images called right", "@accuracy{0 %}"),
        ("tested on", "@n_images{0,0} images of @n_wells wells in @n_splits splits"),
    ]
    style.add_hover(plot, tips, [bars, dots])
    return plot


def history_figure(history: pd.DataFrame, quantity: str, label: str) -> Any:  # noqa: ANN401
    """Mean over splits of a quantity and of its ``val_`` twin by epoch, with bands of one SD.

    Heads that diverged leave missing values; they do not count in that epoch.
    """
    plot = style.new_figure(460, 290, x_label="epoch", y_label=label)
    for column, color in ((quantity, TRAIN_COLOR), (f"val_{quantity}", VALIDATION_COLOR)):
        finite = history[np.isfinite(history[column].to_numpy(np.float64, na_value=np.nan))]
        by_epoch = finite.groupby("epoch")[column].agg(["mean", "std", "count"]).reset_index()
        by_epoch["std"] = by_epoch["std"].fillna(0.0)
        top = 1.0 if quantity == "accuracy" else np.inf
        by_epoch["low"] = (by_epoch["mean"] - by_epoch["std"]).clip(lower=0.0)
        by_epoch["high"] = (by_epoch["mean"] + by_epoch["std"]).clip(upper=top)
        source = ColumnDataSource(by_epoch)
        plot.varea("epoch", "low", "high", source=source, fill_color=color, fill_alpha=0.15)
        line = plot.line("epoch", "mean", source=source, line_color=color, line_width=2)
        tips = [("epoch", "@epoch"), (label, "@mean{0.000} ± @std{0.000}"), ("splits", "@count")]
        style.add_hover(plot, tips, [line])
    return plot


TRAIN_COLOR: Final = "#e69f00"
VALIDATION_COLOR: Final = "#0072b2"


def classes_figure(values: Mapping[str, pd.Series], colors: Mapping[str, str], label: str) -> Any:  # noqa: ANN401
    """One dot a group (clone) by class, with the mean of each class as a bar.

    Parameters
    ----------
    values
        For every class its values, indexed by group name.
    colors
        Colour by class.
    label
        Name and unit of the quantity.
    """
    plot = style.new_figure(
        236, 270, y_label=label, x_range=Range1d(start=-0.6, end=max(len(values), 1) - 0.4)
    )
    for position, (name, series) in enumerate(values.items()):
        color = colors.get(name, style.MUTED)
        data = {
            "x": position + _spread(len(series)),
            "y": series.to_numpy(np.float64),
            "group": [str(group) for group in series.index],
        }
        dots = plot.scatter(
            "x", "y", source=ColumnDataSource(data), size=8, color=color, fill_alpha=0.6
        )
        style.add_hover(plot, [("", "@group"), ("mean", "@y{0,0.0}")], [dots])
        if len(series):
            mean = float(series.mean())
            plot.segment(
                [position - 0.28], [mean], [position + 0.28], [mean], color=style.INK, line_width=2
            )
    names = [wording.cut_name(name, 16) for name in values]
    style.name_ticks(plot.xaxis[0], list(range(len(values))), names)
    plot.xgrid.grid_line_color = None
    return plot


def _spread(n: int) -> Any:  # noqa: ANN401
    """Sideways places that keep neighbouring dots apart, the same every time."""
    golden = 0.6180339887498949
    return ((np.arange(n) + 1) * golden % 1 - 0.5) * 0.4
