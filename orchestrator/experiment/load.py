"""From a YAML file to a :class:`Spec`. Nothing is written anywhere; torch, Ray and MLflow are not imported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from os import PathLike, fspath

from pydantic import ValidationError

from orchestrator.experiment import errors, overrides
from orchestrator.experiment.expand import expand
from orchestrator.experiment.names import Context
from orchestrator.experiment.plugins import bring
from orchestrator.experiment.problems import SourceLocation, SpecError
from orchestrator.experiment.protocol import fill_data
from orchestrator.experiment.schema import experiment_model
from orchestrator.experiment.spec import PluginSpec, Source, Spec
from orchestrator.experiment.yaml_lines import Document, read_file
from orchestrator.store.backends.uri import hidden


def load(path: str | PathLike[str], assignments: Sequence[str] = (), store: str | None = None) -> Spec:
    """The experiment in a file. ``assignments``, such as ``data.train_size=400``, and ``store`` replace what it says.

    Raises:
        SpecError: with every mistake in the plugins that it names, or else with every mistake in the file and the assignments.
    """
    file = fspath(path)
    document = read_changed(file, assignments, store)
    found = bring(document, file)
    fill_data(document)
    try:
        experiment = experiment_model().model_validate(document.data, context=Context.of(document.data, file))
    except ValidationError as error:
        found_at = {problem.path for problem in document.problems}  # one mistake, one line
        others = [problem for problem in errors.problems(error, document) if problem.path not in found_at]
        raise SpecError([*document.problems, *others]) from None
    if document.problems:
        raise SpecError(document.problems)
    stated = tuple(PluginSpec(plugin.name, plugin.sha256) for plugin in found)
    return replace(expand(experiment, document, file), plugins=stated, source=Source(document.text, tuple(assignments), store))


def read_changed(file: str, assignments: Sequence[str] = (), store: str | None = None) -> Document:
    """The YAML with what ``--set`` and ``--store`` replace, not yet checked; it knows the place of every field.

    Raises:
        SpecError: where the file cannot be read.
    """
    document = read_file(file)
    for assignment in assignments:
        overrides.apply(document, assignment)
    if store is not None:
        overrides.put(document, ["store"], store, SourceLocation(f"--store {hidden(store)}"))
    return document
