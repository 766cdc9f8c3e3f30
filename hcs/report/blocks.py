"""What a page is made of, free of how it looks: sections of words, tables, pictures and charts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from markupsafe import Markup

if TYPE_CHECKING:
    from hcs.report.charts.drawn_maps import Drawing

Text = str | Markup
"""Words; plain strings are escaped when the page is made, so names from files stay harmless."""


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph."""

    kind: ClassVar[str] = "paragraph"
    text: Text


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading inside a section."""

    kind: ClassVar[str] = "heading"
    text: Text


@dataclass(frozen=True, slots=True)
class Note:
    """A boxed remark, or that a piece is missing."""

    kind: ClassVar[str] = "note"
    level: Literal["info", "missing"]
    text: Text


@dataclass(frozen=True, slots=True)
class Warnings:
    """What must be known before anything else, in one box."""

    kind: ClassVar[str] = "warnings"
    title: Text
    items: tuple[Text, ...]


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list of sentences."""

    kind: ClassVar[str] = "bullets"
    items: tuple[Text, ...]


@dataclass(frozen=True, slots=True)
class Fact:
    """One big number with what it is."""

    value: Text
    label: Text
    detail: Text = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """A row of big numbers."""

    kind: ClassVar[str] = "facts"
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table; ``hint`` explains it on hover."""

    title: Text
    numeric: bool = False
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Ready-made cells with a caption."""

    kind: ClassVar[str] = "table"
    columns: tuple[Column, ...]
    rows: tuple[tuple[Text, ...], ...]
    caption: Text = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """A bokeh figure.

    Attributes
    ----------
    model
        The figure.
    title, caption
        What it shows, in plain words.
    legend
        Colour (CSS) and meaning of each; a leading sign such as ``○`` in place of a colour.
    """

    is_drawn: ClassVar[bool] = False
    model: Any
    title: Text = ""
    caption: Text = ""
    legend: tuple[tuple[str, Text], ...] = ()


@dataclass(frozen=True, slots=True)
class Drawn:
    """A picture of a page without scripts.

    Attributes
    ----------
    model
        SVG with its width and height.
    title, caption, legend
        As of a chart.
    """

    is_drawn: ClassVar[bool] = True
    model: Drawing
    title: Text = ""
    caption: Text = ""
    legend: tuple[tuple[str, Text], ...] = ()


@dataclass(frozen=True, slots=True)
class Charts:
    """Charts beside each other as far as the page is wide, with one caption for all."""

    kind: ClassVar[str] = "charts"
    charts: tuple[Chart | Drawn, ...]
    caption: Text = ""
    legend: tuple[tuple[str, Text], ...] = ()


@dataclass(frozen=True, slots=True)
class Picture:
    """One image as a data address."""

    address: str
    label: Text


@dataclass(frozen=True, slots=True)
class Gallery:
    """A row of images under one title."""

    kind: ClassVar[str] = "gallery"
    title: Text
    color: str
    pictures: tuple[Picture, ...]


@dataclass(frozen=True, slots=True)
class Code:
    """Text with its line breaks, for example JSON."""

    kind: ClassVar[str] = "code"
    text: str


@dataclass(frozen=True, slots=True)
class Folded:
    """Blocks that are shown on a click."""

    kind: ClassVar[str] = "folded"
    title: Text
    blocks: tuple[Block, ...]


Block = (
    Paragraph
    | Heading
    | Note
    | Warnings
    | Bullets
    | Facts
    | Table
    | Charts
    | Gallery
    | Code
    | Folded
)


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the page; ``name`` is its anchor."""

    name: str
    title: str
    blocks: tuple[Block, ...]


def charts_of(blocks: Sequence[Block]) -> Iterator[Chart]:
    """Yield every chart of some blocks that needs a script, folded ones too, in page order."""
    for block in blocks:
        if isinstance(block, Charts):
            yield from (chart for chart in block.charts if isinstance(chart, Chart))
        elif isinstance(block, Folded):
            yield from charts_of(block.blocks)
