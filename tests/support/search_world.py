"""An experiment with a search, and its store at any moment, made by hand: nothing is trained."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from kd_core.bank.config import BankConfig
from kd_core.data.place import Place
from kd_core.data.table import DataConfig
from kd_core.knobs import Distribution, LogUniform, Uniform
from kd_core.methods.table import METHODS
from kd_core.recipe import Recipe
from orchestrator.experiment.search_config import SearchConfig
from orchestrator.experiment.spec import MethodSpec, SearchSpec, Spec, StudentSpec, TeacherSpec, Tracking
from orchestrator.jobs.job import Job
from orchestrator.planning.plan import Plan, make
from orchestrator.search import journal
from orchestrator.search.trial import DONE, FAILED, STOPPED, Trial, trials_table
from orchestrator.store.arrow import write_table
from orchestrator.store.artifacts import TRIALS
from orchestrator.store.store import Store
from tests.support import report_world

EPOCHS = 3
T0 = 1_700_000_000  # when trial 0 begins, Unix seconds; each begins 100 s after the last, and trains for 10 s an epoch
SPACE: dict[str, Distribution] = {"temperature": Uniform(1, 8), "recipe.lr": LogUniform(0.01, 0.1)}
OUTCOMES = (  # temperature and lr, how it ended, and the validation accuracy epoch by epoch
    (4, 0.05, DONE, (0.5, 0.6, 0.7)),  # the defaults
    (2, 0.02, DONE, (0.5, 0.72, 0.65)),
    (6, 0.03, STOPPED, (0.3,)),
    (8, 0.1, FAILED, ()),
    (3, 0.09, DONE, (0.6, 0.7, 0.8)),  # the winner
    (5, 0.04, DONE, (0.5, 0.6, 0.62)),
    (7, 0.06, DONE, (0.4, 0.5, 0.6)),
)
WINNER = 4
CONTROL, SEARCHED = "resnet8 · kd", "resnet8 · kd, searched"
ACCURACY = {CONTROL: (0.90, 0.91, 0.92), SEARCHED: (0.92, 0.94, 0.93)}  # on the test split, of the seeds 0, 1, 2


def a_spec(root: Path, *, seeds: int = 3, searches: Sequence[str] = (SEARCHED,), uri: str | None = None, **how) -> Spec:
    """A teacher; students of kd, and of kd with searched knobs. A second name in ``searches`` is another such cell, whose
    search differs in its seed alone."""
    made = SearchConfig(**{"trials": len(OUTCOMES), **how})
    cells = [(CONTROL, "kd", None)]
    for number, name in enumerate(searches):
        config = SearchConfig(**{**vars(made), "seed": number})
        cells.append((name, name.removeprefix("resnet8 · "), SearchSpec(tuple(SPACE.items()), config)))
    students = [
        StudentSpec(
            "resnet8",
            seed,
            MethodSpec("kd", METHODS["kd"].Config(), label),
            ("resnet8-s0",),
            Recipe(epochs=EPOCHS),
            cell,
            search,
            CONTROL if search else "",
        )
        for cell, label, search in cells
        for seed in range(seeds)
    ]
    return Spec(
        name="toy",
        file="experiments/toy.yaml",
        store=str(root / "a store"),
        data=DataConfig("digits").resolved(),
        place=Place(),
        teachers=(TeacherSpec("resnet8-s0", "resnet8", 0, Recipe(epochs=EPOCHS)),),
        probes=None,
        students=tuple(students),
        bank=BankConfig("off"),
        tracking=Tracking(uri=uri),
    )


def stand_in(number: int) -> Job:
    """In the place of a trial's own job, which nobody reads here: its key is all that counts."""
    return Job("trial", 1, {"stands for": number}, {}, f"trial {number}")


def a_trial(number: int, state: str | None = None) -> Trial:
    """Trial ``number`` as it ended, or another state."""
    temperature, lr, ended, accuracies = OUTCOMES[number]
    if state == "running":
        accuracies = ()
    began = T0 + 100.0 * number
    return Trial(
        number=number,
        values={"temperature": temperature, "recipe.lr": lr},
        key=stand_in(number).key,
        state=state or ended,
        accuracies=accuracies,
        seconds=10.0 * len(accuracies),
        started=began,
        finished=0.0 if state == "running" else began + 10 * len(accuracies) + 1,
        reason="the loss diverged" if ended == FAILED else "",
    )


def begin_search(store: Store, search: Job, ended: int, at_work: int = 0, *, ago: float = 0.0) -> None:
    """So many trials have ended, and so many are at work; said ``ago`` seconds before now."""
    for number in range(ended + at_work):
        trial = a_trial(number, None if number < ended else "running")
        journal.write(search, store, trial)
        if trial.state == DONE:
            finish_trial(store, trial)
    done = [trial.accuracy for trial in map(a_trial, range(ended)) if trial.state == DONE]
    progress = {"trials": len(OUTCOMES), "ended": ended, "at_work": at_work, "trial_seconds": 20.0}
    progress |= {"accuracy": max(done)} if done else {}
    now = time.time() - ago
    store.write_work(search, "progress.json", {"attempt": "a", "pid": 1, "started": now - 60, "updated": now, **progress})


def finish_trial(store: Store, trial: Trial) -> None:
    """The entry of a trial, where there is none yet."""
    if store.find("trial", trial.key):
        return
    attempt = store.begin(stand_in(trial.number))
    rows = [
        {"epoch": epoch, "time_ms": int(1000 * (trial.started + 10 * epoch)), "seconds": 10.0, "name": name, "value": value}
        for epoch, accuracy in enumerate(trial.accuracies, start=1)
        for name, value in (("loss", 1 / epoch), ("validation/accuracy", accuracy))
    ]
    write_table(pa.Table.from_pylist(rows), attempt.path / "history.arrow")
    attempt.commit({"validation_accuracy": trial.accuracy}, trial.seconds)


def finish_search(store: Store, search: Job) -> None:
    """The search is done, in all its trials."""
    begin_search(store, search, len(OUTCOMES))
    trials = [a_trial(number) for number in range(len(OUTCOMES))]
    attempt = store.begin(search)
    TRIALS.write(trials_table(trials), attempt.path)
    results = {"chosen": trials[WINNER].values, "trial": WINNER, "validation_accuracy": 0.8, "validation_accuracy_default": 0.7}
    attempt.commit({**results, "trials": 7, "stopped": 1, "failed": 1}, sum(trial.seconds for trial in trials))
    store.clear(search)


def finish_all(store: Store, plan: Plan) -> None:
    """Teacher, searches and students are done; students' seeds take 20, 21 and 22 s."""
    for job in plan:
        if job.kind == "search":
            finish_search(store, job)
        elif job.kind == "teacher":
            report_world.commit(store, job, 0.97)
        else:
            searched = {"searched": a_trial(WINNER).values} if "searches" in job.parents else {}
            report_world.commit(store, job, ACCURACY[_like(job.labels["cell"])][job.config["seed"]], **searched)


def _like(cell: str) -> str:
    return cell if cell in ACCURACY else SEARCHED


def a_world(root: Path, **changes) -> tuple[Plan, Store]:
    """The plan and an empty store."""
    spec = a_spec(root, **changes)
    store = Store(spec.store)
    store.prepare()
    return make(spec), store
