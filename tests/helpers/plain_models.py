"""Valid models of which a test says only what it looks for."""

from __future__ import annotations

from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel

PLAIN = {bool: True, int: 12, float: 0.5, str: "x"}
Model = TypeVar("Model", bound=BaseModel)


def fill(model: type[Model], /, **known: Any) -> Model:
    """Build a model from what is known; required fields that are not get the plainest value."""
    missing = {
        name: plainest(field.annotation)
        for name, field in model.model_fields.items()
        if field.is_required() and name not in known
    }
    return model(**missing, **known)


def plainest(kind: Any) -> Any:
    """A value that the type allows: 12, 0.5, "x", the first choice, no items; null if it may be."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in {Union, UnionType}:
        return None if NoneType in inner else plainest(inner[0])
    if origin in {Annotated, Literal}:
        return plainest(inner[0]) if origin is Annotated else inner[0]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return next(iter(kind))
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return fill(kind)
    return PLAIN[kind] if kind in PLAIN else origin()
