"""Reads settings in YAML: nothing in them runs, grows without bound, or is lost in silence."""

from __future__ import annotations

import re
from typing import Any, Final

import yaml

from hcs.domain.limits import SETTINGS_BYTES, SETTINGS_DEPTH, SETTINGS_NODES
from hcs.errors import Fault, FaultsError, InputError
from hcs.io.files.edge import as_name, refuse_damage
from hcs.io.files.paths import AnyPath
from hcs.io.files.text import read_text

_Loader: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""That of libyaml where it is there: 2,000 plates take 0.3 s in place of 3."""

_WHOLE: Final = 2**128
"""Whole numbers beyond this are no settings, and cannot be shown where they have 4,300 digits."""

_MERGE: Final = "tag:yaml.org,2002:merge"
_INTEGER: Final = "tag:yaml.org,2002:int"
_ODD_INTEGER: Final = re.compile(r"[-+]?(0[0-7_]+|[0-9_]+(:[0-9_]+)+)")
"""What YAML 1.1 takes for octal numbers (010 is 8) and for sixties (1:30 is 90)."""

_REMEDY: Final = "correct it there; settings are YAML, as in 'name: value'"


def read_mapping(path: AnyPath, what: str) -> dict[str, Any]:
    """Read a YAML file that holds a mapping; nothing in it is executed.

    Parameters
    ----------
    path
        The file.
    what
        What it should be, for the error message: "study file".

    Raises
    ------
    NotFoundError
        When there is no such file.
    InputError
        When it is not YAML with a mapping whose keys are names, is too large or too deep, or
        unfolds to too much.
    FaultsError
        When a name is given twice: of which the first would be lost without a word.
    """
    text = read_text(path, what, SETTINGS_BYTES)
    name = as_name(path)
    with refuse_damage(path, what, _REMEDY):
        _refuse_size(text, f"{what} {name}")
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is not None:
                _refuse_growth(node, f"{what} {name}")
                _refuse_misreadings(node, name, what)
            value = None if node is None else loader.construct_document(node)
        finally:
            loader.dispose()
    if not isinstance(value, dict):
        found = "nothing" if value is None else f"a {type(value).__name__}"
        raise InputError(f"{what} {name} holds {found}; a mapping of settings was expected")
    _refuse_odd(value, f"{what} {name}")
    return value


def _refuse_size(text: str, where: str) -> None:
    """Refuse what is nested too deep or too long, event by event, before anything is built."""
    depth = 0
    for number, event in enumerate(yaml.parse(text, Loader=_Loader)):
        SETTINGS_NODES.refuse_more(number, where)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            SETTINGS_DEPTH.refuse_more(depth, where)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _refuse_growth(root: yaml.Node, where: str) -> None:
    """Refuse a document that unfolds to too much, or to itself, when its aliases are followed."""
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def measure(node: yaml.Node) -> int:
        if isinstance(node, yaml.ScalarNode):
            return 1
        if id(node) in open_nodes:
            raise InputError(f"{where} holds an alias of what it stands in: write the value out")
        if id(node) not in sizes:
            open_nodes.add(id(node))
            sizes[id(node)] = 1 + sum(measure(child) for child in _list_children(node))
            open_nodes.remove(id(node))
        return sizes[id(node)]

    SETTINGS_NODES.refuse_more(measure(root), where)


def _list_children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [child for pair in node.value for child in pair]
    return list(node.value)


def _refuse_misreadings(root: yaml.Node, file: str, what: str) -> None:
    """Refuse names that are given twice, and numbers that YAML reads as nobody means them."""
    faults: list[Fault] = []
    waiting, seen = [root], {id(root)}
    while waiting:
        node = waiting.pop()
        if isinstance(node, yaml.ScalarNode):
            if node.tag == _INTEGER and not node.style and _ODD_INTEGER.fullmatch(node.value):
                message = "YAML reads this as another number: write it plainly, or in quotes"
                row = node.start_mark.line + 1
                faults.append(Fault(file, message, row, value=node.value))
            continue
        if isinstance(node, yaml.MappingNode):
            faults += _list_twice(node, file)
        fresh = [child for child in _list_children(node) if id(child) not in seen]
        seen.update(map(id, fresh))
        waiting += reversed(fresh)
    if faults:
        raise FaultsError(f"{what} {file}", faults)


def _list_twice(node: yaml.MappingNode, file: str) -> list[Fault]:
    """List the names of a mapping that stand there before."""
    faults, names = [], set()
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
            if key.value in names:
                message = f"{key.value!r} is given twice: keep one of them"
                faults.append(Fault(file, message, key.start_mark.line + 1))
            names.add(key.value)
    return faults


def _refuse_odd(value: object, where: str) -> None:
    """Refuse keys that are no names, and whole numbers that no setting can be."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                msg = f"{where} has the key {key!r}, which is no name: write it in quotes"
                raise InputError(msg)
            _refuse_odd(inner, where)
    elif isinstance(value, list | tuple):
        for inner in value:
            _refuse_odd(inner, where)
    elif isinstance(value, int) and abs(value) >= _WHOLE:
        raise InputError(
            f"{where} holds a number of {value.bit_length()} bits: write a smaller one"
        )
