"""What to try next: a pure function of the space, the seed, the trial's number and what is known of earlier trials.

The sampling is Optuna's. Nothing is kept between two calls, so that a search that was killed and goes on suggests what it
would have suggested.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from kd_core.knobs import Choice, Distribution, IntUniform, LogUniform
from kd_core.random import derive
from orchestrator.experiment.search_config import GRID, RANDOM, SearchConfig
from orchestrator.experiment.space import Space, Values, points
from orchestrator.jobs import canonical
from orchestrator.search.trial import DONE, RUNNING, STOPPED, Trial

TRIES = 50  # to find a point that was not tried yet
STATES = {DONE: TrialState.COMPLETE, STOPPED: TrialState.PRUNED, RUNNING: TrialState.RUNNING}

optuna.logging.set_verbosity(logging.ERROR)


def suggest(space: Space, how: SearchConfig, number: int, trials: Sequence[Trial]) -> Values | None:
    """The values of trial ``number``, other than those of all ``trials`` so far; None where nothing untried is found."""
    tried = {canonical.text(trial.values) for trial in trials}
    if how.searcher == GRID:
        return next((values for values in points(space) if canonical.text(values) not in tried), None)
    study = optuna.create_study(direction="maximize")
    known = {name: optuna_distribution(distribution) for name, distribution in space.items()}
    for trial in trials:
        if trial.state in STATES:
            study.add_trial(frozen(trial, space, known))
    for attempt in range(TRIES):
        study.sampler = _sampler(how, derive(how.seed, "search", number, attempt) % 2**32)
        asked = study.ask(known)
        values = {name: _value(distribution, asked.params[name]) for name, distribution in space.items()}
        if canonical.text(values) not in tried:
            return values
        study.tell(asked, state=TrialState.FAIL)
    return None


def _sampler(how: SearchConfig, seed: int) -> optuna.samplers.BaseSampler:
    if how.searcher == RANDOM:
        return optuna.samplers.RandomSampler(seed)
    first = min(10, max(4, how.trials // 3))  # at random, before there is something to model
    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=first, multivariate=True, constant_liar=True)


def optuna_distribution(distribution: Distribution) -> BaseDistribution:
    """The same distribution as Optuna has it."""
    if isinstance(distribution, Choice):
        return CategoricalDistribution([canonical.text(value) for value in distribution.values])
    if isinstance(distribution, IntUniform):
        return IntDistribution(distribution.low, distribution.high)
    return FloatDistribution(distribution.low, distribution.high, log=isinstance(distribution, LogUniform))


def frozen(trial: Trial, space: Space, known: dict[str, BaseDistribution]) -> FrozenTrial:
    """A trial as Optuna has it: its value is the best validation accuracy."""
    accuracies = dict(enumerate(trial.accuracies, start=1))
    return optuna.trial.create_trial(
        state=STATES[trial.state],
        params={name: _param(distribution, trial.values[name]) for name, distribution in space.items()},
        distributions=known,
        value=trial.accuracy if trial.state == DONE else None,
        intermediate_values=accuracies,
    )


def _param(distribution: Distribution, value: object) -> Any:
    return canonical.text(value) if isinstance(distribution, Choice) else value


def _value(distribution: Distribution, param: object) -> Any:
    if isinstance(distribution, Choice):
        return next(value for value in distribution.values if canonical.text(value) == param)
    return param
