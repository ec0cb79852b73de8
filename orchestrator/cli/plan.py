"""`kd plan`."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.options import File, Set, StoreOption, planned


def plan(
    file: File,
    location: StoreOption = None,
    sets: Set = None,
    cpus: Annotated[float | None, typer.Option(min=1, help="Estimate for so many CPU cores, not this machine's.")] = None,
    gpus: Annotated[float | None, typer.Option(min=0, help="Estimate for so many GPUs, not this machine's.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every job, also where they are many.")] = False,
    json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show what a run would do, and why.

    Every setting, every job, what is done, what is missing and why, how long it will take, and the critical path: the
    chain of jobs that no larger machine makes shorter. A job's key is the SHA-256 of all that decides its result; its first
    16 digits are shown. Where there are more than 60 jobs, those that differ in their seed alone share a line. Nothing is run
    or written.

    \b
    Examples:
      kd plan experiments/digits.yaml
      kd plan experiments/digits.yaml --set students.recipe.lr=0.1
      kd plan experiments/cifar100_gpac.yaml --cpus 64 --gpus 8
      kd plan experiments/digits.yaml --json | jq '.jobs[] | select(.state == "missing") | .title'
    """
    from orchestrator.cli.views.console import show
    from orchestrator.cli.views.plan import as_json, view
    from orchestrator.planning.estimate import Estimator
    from orchestrator.planning.explain import explained
    from orchestrator.planning.schedule import Machine, this_machine
    from orchestrator.planning.state import State, standings

    spec, made, store = planned(file, sets, location)
    held, here = standings(made, store), this_machine()
    found = explained(made, store, held)
    machine = Machine(here.cpus if cpus is None else cpus, here.gpus if gpus is None else gpus)
    estimator = Estimator(spec.resources)
    missing = [job for job in made if found[job.key].state not in (State.DONE, State.IDLE)]
    if missing:
        estimator.learn_all(store, [standing.entry for standing in held.values() if standing.entry])
    estimate = estimator.estimate(made, missing, {key: status.progress for key, status in found.items()}, machine)
    if json:
        from json import dumps

        typer.echo(dumps(as_json(spec, made, found, estimate, machine), indent=2, ensure_ascii=False))
    else:
        show(*view(spec, made, found, estimate, machine, every=all_))
