"""How charts look: colours that color-blind readers can tell apart, quiet axes, sharp in print."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from bokeh.models import FixedTicker, HoverTool, PlainText
from bokeh.plotting import figure

FONT: Final = "Helvetica, Arial, sans-serif"
INK: Final = "#1f2933"
MUTED: Final = "#616e7c"
GRID: Final = "#e4e7eb"
EMPTY: Final = "#f5f7fa"

MODEL_COLORS: Final = {"cnn": "#0072b2", "forest": "#d55e00"}
_OTHER_MODELS: Final = ("#56b4e9", "#e69f00", "#009e73")

# Okabe and Ito's set: negative class first, positive class last.
_NEGATIVE, _POSITIVE = "#009e73", "#aa3377"
_OTHER_CLASSES: Final = ("#e69f00", "#56b4e9", "#f0e442", "#0072b2", "#d55e00", "#999999")

Tooltips = list[tuple[str, str]]


def model_color(model: str, position: int = 0) -> str:
    """Colour of a model."""
    return MODEL_COLORS.get(model, _OTHER_MODELS[position % len(_OTHER_MODELS)])


def class_colors(classes: Sequence[str], positive: str | None) -> dict[str, str]:
    """Colour of every class: the positive one is red, with two classes the other is green."""
    others = [name for name in classes if name != positive]
    palette = [_NEGATIVE, *_OTHER_CLASSES]
    colors = {name: palette[i % len(palette)] for i, name in enumerate(others)}
    if positive is not None:
        colors[positive] = _POSITIVE
    return colors


def new_figure(
    width: int,
    height: int,
    *,
    x_label: str = "",
    y_label: str = "",
    **options: Any,  # noqa: ANN401 - handed on to bokeh
) -> Any:  # noqa: ANN401 - bokeh is untyped here
    """Return an empty figure in the page's style."""
    options.update(
        width=width,
        height=height,
        tools="",
        toolbar_location=None,
        output_backend="svg",
        x_axis_label=PlainText(text=x_label) if x_label else None,
        y_axis_label=PlainText(text=y_label) if y_label else None,
        min_border_right=12,
    )
    plot: Any = figure(**options)
    plot.outline_line_color = None
    plot.background_fill_color = None
    plot.border_fill_color = None
    plot.grid.grid_line_color = GRID
    plot.axis.axis_line_color = "#cbd2d9"
    plot.axis.major_tick_line_color = "#cbd2d9"
    plot.axis.minor_tick_line_color = None
    plot.axis.major_label_text_color = MUTED
    plot.axis.major_label_text_font = FONT
    plot.axis.major_label_text_font_size = "12px"
    plot.axis.axis_label_text_color = INK
    plot.axis.axis_label_text_font = FONT
    plot.axis.axis_label_text_font_size = "13px"
    plot.axis.axis_label_text_font_style = "normal"
    return plot


def name_ticks(axis: Any, positions: Sequence[float], names: Sequence[str]) -> None:  # noqa: ANN401
    """Put names at places of an axis, as they stand: bokeh would read ``$$…$$`` as a formula."""
    axis.ticker = FixedTicker(ticks=list(positions))
    axis.major_label_overrides = {
        place: PlainText(text=name) for place, name in zip(positions, names, strict=True)
    }


def add_hover(plot: Any, tooltips: Tooltips, renderers: Sequence[Any]) -> None:  # noqa: ANN401
    """Show values of a mark when the pointer is on it."""
    plot.add_tools(
        HoverTool(tooltips=tooltips, renderers=list(renderers), point_policy="snap_to_data")
    )


def replace_none(value: float | None, instead: float | None) -> float | None:
    """Put another number where there is none, since a chart draws nothing without one."""
    return instead if value is None else value
