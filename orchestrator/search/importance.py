"""How much each knob of a search mattered: Optuna's fANOVA, the share of the variance of accuracy that a knob explains.

A forest of regression trees is fitted to the trials that came to their end (Hutter et al. 2014, ICML), from a fixed seed.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.experiment.search_config import PBT, SearchConfig
from orchestrator.experiment.space import Space
from orchestrator.search.trial import DONE, Trial

LEAST = 5  # trials that came to their end


def why_no_importances(how: SearchConfig, space: Space, trials: Sequence[Trial]) -> str:
    """Why importances cannot be told; empty where they can."""
    whole = [trial for trial in trials if trial.state == DONE]
    if how.scheduler == PBT:
        return "what a member of a population reaches, it owes to earlier values too"
    if len(space) < 2:
        return "one knob alone explains everything"
    if len(whole) < LEAST:
        return f"{len(whole)} of the trials came to their end, {LEAST} are needed"
    if len({trial.accuracy for trial in whole}) == 1:
        return "all trials reached the same accuracy"
    return ""


def importances(space: Space, trials: Sequence[Trial]) -> dict[str, float]:
    """By knob, the shares of what all knobs explain, which add up to 1; the greatest first."""
    import optuna

    from orchestrator.search.suggest import frozen, optuna_distribution

    known = {name: optuna_distribution(distribution) for name, distribution in space.items()}
    study = optuna.create_study(direction="maximize")
    for trial in trials:
        if trial.state == DONE:
            study.add_trial(frozen(trial, space, known))
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    fractions = {name: float(found.get(name, 0.0)) for name in space}
    return dict(sorted(fractions.items(), key=lambda pair: (-pair[1], pair[0])))
