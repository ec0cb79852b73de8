"""`kd track`."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.options import File, Set, StoreOption, planned


def track(
    file: File,
    location: StoreOption = None,
    sets: Set = None,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Delete the experiment's runs and write all of them.")] = False,
    models: Annotated[
        bool, typer.Option("--models", help="Keep teachers and the best student of each method as models, too.")
    ] = False,
    register: Annotated[
        bool, typer.Option("--register", help="Make them versions of registered models, too (as --models).")
    ] = False,
) -> None:
    """Write to MLflow what it has missed.

    MLflow mirrors the store: one run for each job, whatever was killed and repeated. So a run that was deleted in MLflow is
    written again; one that had the tag kd.away (of any value) when it was deleted stays away.

    A model is a program of torch.export, from images to probabilities: mlflow.pytorch.load_model loads it without a pickle.

    \b
    Examples:
      kd track experiments/digits.yaml
      kd track experiments/digits.yaml --set tracking.uri=http://127.0.0.1:5000
      kd track experiments/digits.yaml --rebuild
      kd track experiments/digits.yaml --register
    \f

    Raises:
        SpecError: with every mistake in the file.
        TrackingError: where MLflow fails.
        DataError, CorruptEntry: where a model cannot be made.
    """
    from orchestrator.planning.explain import statuses
    from orchestrator.planning.state import State
    from orchestrator.tracking.projection import project

    spec, plan, store = planned(file, sets, location)
    running = [key for key, found in statuses(plan, store).items() if found.state == State.RUNNING]
    done = project(spec, plan, store, running=running, rebuild=rebuild, models=models or register, register=register)
    typer.echo(done)
    if done.models and done.models.refused:
        raise typer.Exit(1)
