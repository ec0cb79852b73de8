"""A study: its journal is all its state, and nothing is counted twice."""

from __future__ import annotations

import pytest

from orchestrator.search.study import Study
from orchestrator.search.trial import DONE, FAILED, STOPPED, Trial, trials_of, trials_table
from orchestrator.stages.runner import Runtime, run_job
from orchestrator.store.artifacts import TRIALS
from orchestrator.store.store import Store
from tests.support.searches import EPOCHS, SPACE, a_search, choices


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def worth(trial: Trial) -> tuple[float, ...]:
    return (0.1,) * (EPOCHS - 1) + (1 / trial.values["temperature"],)


def go_on(study: Study, count: int = 1000) -> list[dict]:
    """One at a time, at most so many; the values that were tried."""
    tried = []
    while len(tried) < count and (trial := study.ask()):
        study.tell(trial.number, DONE, worth(trial), 2.0)
        tried.append(trial.values)
    return tried


def test_it_ends_after_its_trials_and_knows_the_best(store):
    study = Study(a_search(trials=6), store)
    tried = go_on(study)
    assert len(tried) == 6
    assert study.finished
    assert study.best.values == min(tried, key=lambda values: values["temperature"])


def test_the_defaults_are_tried_first(store):
    defaults = {"temperature": 4, "recipe.lr": 0.05}
    assert go_on(Study(a_search(trials=3, defaults=defaults), store))[0] == defaults


@pytest.mark.parametrize("how", [{"trials": 12}, {"trials": 12, "searcher": "random"}, {"trials": 8, "scheduler": "pbt"}])
def test_neither_the_order_of_the_space_nor_a_kill_changes_the_sequence(store, tmp_path, how):
    """The same search, its knobs in another order; killed after every third trial, so most values come from the journal."""
    search = a_search(**how)
    turned = a_search(dict(reversed(SPACE.items())), **how)
    assert turned.key == search.key
    whole = go_on(Study(turned, Store(tmp_path / "other")))
    parts = []
    while tried := go_on(Study(search, store), 3):
        parts += tried
    assert parts == whole
    assert Study(search, store).finished


def test_what_was_at_work_when_it_was_killed_is_run_again_under_its_number(store):
    search = a_search(trials=5)
    before = Study(search, store)
    first, second = before.ask(), before.ask()
    before.tell(second.number, DONE, (0.5,), 1.0)
    after = Study(search, store)
    again = after.ask()
    assert (again.number, again.values, again.key) == (first.number, first.values, first.key)
    after.tell(again.number, DONE, (0.4,), 1.0)
    assert after.ask().number == 2
    assert len(after.trials) == 3


def test_a_trial_that_is_told_twice_is_our_mistake(store):
    study = Study(a_search(), store)
    trial = study.ask()
    study.tell(trial.number, DONE, (0.5,), 1.0)
    with pytest.raises(AssertionError, match="told twice"):
        study.tell(trial.number, DONE, (0.5,), 1.0)


def test_parallel_bounds_how_many_are_at_work(store):
    study = Study(a_search(parallel=2), store)
    first, second = study.ask(), study.ask()
    assert study.ask() is None
    study.tell(first.number, STOPPED, (0.1,), 1.0)
    assert study.ask().number == 2
    assert second.number == 1


def test_only_whole_trials_can_win_and_the_earlier_of_equals(store):
    study = Study(a_search(trials=4), store)
    for accuracies, state in (((0.9,), STOPPED), ((0.5, 0.7), DONE), ((0.7, 0.6), DONE), ((), FAILED)):
        study.tell(study.ask().number, state, accuracies, 1.0, "")
    assert study.best.number == 1


def test_a_space_with_fewer_points_than_trials_ends_early(store):
    study = Study(a_search(choices(3), trials=20), store)
    assert sorted(values["temperature"] for values in go_on(study)) == [1, 2, 3]
    assert study.finished


def test_asking_for_more_trials_goes_on_from_the_finished_search(store):
    search = a_search(trials=4)
    go_on(Study(search, store))
    run_job(search, Runtime(store.location))
    study = Study(a_search(trials=6), store)
    assert len(study.trials) == 4
    assert len(go_on(study)) == 2
    assert not Study(a_search(trials=6, seed=1), store).trials


def test_a_closed_search_holds_its_trials_and_the_values_it_chose(store):
    search = a_search(trials=3, defaults={"temperature": 4, "recipe.lr": 0.05})
    study = Study(search, store)
    go_on(study)
    run_job(search, Runtime(store.location))
    entry = store.entry("search", search.key)
    table = TRIALS.read(entry)
    assert trials_of(table) == study.trials
    assert trials_table(study.trials).equals(table)
    assert entry.results["chosen"] == study.best.values
    assert entry.results["validation_accuracy_default"] == 0.25  # 1 / 4
    assert entry.manifest["seconds"] == 6.0  # 3 trials of 2 s
    assert not store.list_work(search, "trials")


def test_a_search_of_which_all_trials_fail_fails_with_their_reason(store):
    from orchestrator.stages.runner import JobFailed

    search = a_search(trials=2)
    study = Study(search, store)
    for _ in range(2):
        study.tell(study.ask().number, FAILED, (), 0.0, "loss is nan")
    with pytest.raises(JobFailed, match="none of its 2 trials came to its end: loss is nan"):
        run_job(search, Runtime(store.location))


def test_a_population_goes_on_generation_by_generation(store):
    """Two generations of four: the second begins when the first has ended, each member with the weights of a trial of it."""
    study = Study(a_search(trials=4, scheduler="pbt", interval=5), store)
    assert study.planned == 8  # 9 epochs: 5 and 4
    first = [study.ask() for _ in range(4)]
    assert study.ask() is None
    for trial in first:
        assert study.job_of(trial).config["generation"] == (0, 5)
        study.tell(trial.number, DONE, (0.1 * trial.number,) * 5, 5.0)
    second = [study.ask() for _ in range(4)]
    assert [trial.parent for trial in second] == [3, 1, 2, 3]  # trial 0 was the worst, trial 3 the best
    jobs = [study.job_of(trial) for trial in second]
    assert [job.parents["continues"] for job in jobs] == [[first[parent].key] for parent in (3, 1, 2, 3)]
    for trial, accuracy in zip(second, (0.2, 0.9, 0.3, 0.1), strict=True):
        study.tell(trial.number, DONE, (1.0,) * 5 + (accuracy,) * 4, 4.0)
    assert study.finished
    assert study.best.number == 5  # what others reached in the first generation is not its own
    assert len({job.key for job in jobs}) == 4
