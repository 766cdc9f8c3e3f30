"""What all groups of tuned constants are: frozen models whose docstrings are their descriptions."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
Cosine = Annotated[float, Field(ge=-1, le=1)]
Percentile = Annotated[float, Field(ge=0, le=100)]


class Tuned(BaseModel):
    """Base of the groups: immutable, no unknown keys, fields described by their docstrings."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
