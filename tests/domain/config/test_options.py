"""A default, a bound or a choice stands once: sections of a study and stages have the same."""

from __future__ import annotations

import inspect

import pytest

from hcs.domain.config import options, stages
from hcs.domain.config.network import Backbone, FixedOptimizer, Head
from hcs.domain.config.studies import StudyConfig, StudyPlate
from hcs.domain.plate import Frozen
from hcs_cli.app import app

SECTIONS = {
    "splits": stages.SplitsConfig,
    "stack": stages.StackConfig,
    "embed": stages.EmbedConfig,
    "train": stages.TrainConfig,
    "forest": stages.ForestConfig,
    "probes": stages.ProbeConfig,
    "hits": stages.HitsConfig,
    "morphology": stages.MorphologyConfig,
}

COMMANDS = {
    "ingest": (stages.IngestConfig,),
    "splits": (stages.SplitsConfig,),
    "stack": (stages.StackConfig,),
    "embed": (stages.EmbedConfig, Backbone),
    "train": (stages.TrainConfig, Head, FixedOptimizer),
    "forest": (stages.ForestConfig,),
    "probe": (stages.ProbeConfig, Head),
    "evaluate": (stages.EvaluateConfig,),
    "predict": (stages.PredictConfig,),
    "explain": (stages.ExplainConfig,),
    "export": (stages.ExportConfig,),
}
"""Commands whose options are named like the fields that they set, and the models of these."""


def section_model(name):
    """Model of a section, whether or not the section may be left out."""
    annotation = StudyConfig.model_fields[name].annotation
    return next(
        kind
        for kind in (annotation, *getattr(annotation, "__args__", ()))
        if inspect.isclass(kind) and hasattr(kind, "model_fields")
    )


def facts(field):
    return field.annotation, field.default, [str(entry) for entry in field.metadata]


def test_every_section_is_known_here():
    own = {"name", "preset", "out", "plates", "channel", "plane", "time"}
    own |= {"seed", "truth", "cluster"}
    assert set(StudyConfig.model_fields) - own == set(SECTIONS)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_field_of_a_section_is_that_of_its_stage(section):
    ours, theirs = section_model(section).model_fields, SECTIONS[section].model_fields
    assert set(ours) <= set(theirs)
    assert {name: facts(ours[name]) for name in ours} == {
        name: facts(theirs[name]) for name in ours
    }


def test_a_plate_of_a_study_is_read_as_by_ingest():
    ours, theirs = StudyPlate.model_fields, stages.IngestConfig.model_fields
    shared = set(options.IngestOptions.model_fields)
    assert set(ours) == shared | {"name", "role"}
    assert all(facts(ours[name]) == facts(theirs[name]) for name in shared)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_command_line_has_the_defaults_of_the_models(command):
    # Its modules do not import the models, so that help comes at once: it repeats the defaults.
    callbacks = {
        entry.name or entry.callback.__name__: entry.callback for entry in app.registered_commands
    }
    fields = {
        name: field for model in COMMANDS[command] for name, field in model.model_fields.items()
    }
    shared = {
        name: parameter.default
        for name, parameter in inspect.signature(callbacks[command]).parameters.items()
        if name in fields
        and parameter.default is not inspect.Parameter.empty
        and not fields[name].is_required()
        and not isinstance(fields[name].default, (Frozen, tuple))  # spelled in another way
    }
    assert shared
    assert shared == {name: fields[name].default for name in shared}
