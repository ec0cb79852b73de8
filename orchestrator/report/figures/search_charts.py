"""What a report shows of its searches: slices of the space, and which knobs mattered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from kd_core.knobs import Choice, Distribution, IntUniform, LogUniform
from orchestrator.experiment.search_config import SearchConfig
from orchestrator.experiment.space import read_space, stands_at
from orchestrator.jobs import canonical
from orchestrator.jobs.canonical import from_plain
from orchestrator.jobs.job import Job
from orchestrator.report.analysis.formatting import SEARCHES
from orchestrator.report.data.reading import Reading
from orchestrator.report.data.searches import searches
from orchestrator.report.figures import search_plots
from orchestrator.report.figures.canvas import Picture, style
from orchestrator.report.figures.chart import Chart
from orchestrator.report.figures.search_plots import Point, Slice
from orchestrator.search.importance import importances, why_no_importances
from orchestrator.search.trial import STOPPED, Trial

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def search_charts(reading: Reading) -> list[Chart]:
    """Slices of each search, then the importance of the knobs of all of them."""
    found: list[Chart] = []
    by_search: dict[str, dict[str, float]] = {}
    for row in searches(reading).to_pylist():
        name, search = f"{row['setting']}, {row['method']}", reading.plan.jobs[row["key"]]
        trials = reading.trials(search)
        if not _shown(trials):
            continue
        picture = Picture(f"slices {row['cell']}", partial(slices, search, trials, row["winner"]))
        caption = SLICES
        if reason := _why_no_importances(search, trials):
            caption += f" The importance of its knobs is not told: {reason}."
        else:
            by_search[name] = importances(read_space(search.config["space"]), trials)
        found.append(Chart(f"Slices of the search: {name}", caption, picture, under=SEARCHES))
    if by_search:
        picture = Picture("importance", lambda: search_plots.importance(by_search))
        found.append(Chart("Importance of the searched knobs", IMPORTANCE, picture, under=SEARCHES))
    return found


SLICES = (
    "The best validation accuracy of every trial over each of its knobs, coloured from the first trial to the last. Trials "
    "that were ended early and lie below the picture are drawn at its edge. A pattern over one knob may be owed to another."
)
IMPORTANCE = (
    "How much of the variance of validation accuracy among the trials that came to their end each knob explains (Optuna's "
    "fANOVA with a fixed seed), in shares of what all of them explain. Of few trials it is a rough guess."
)


def _shown(trials: Sequence[Trial]) -> list[Trial]:
    return [trial for trial in trials if trial.ended and trial.accuracy is not None]


def slices(search: Job, trials: Sequence[Trial], winner: int | None) -> Figure:
    """The picture of a search of which a trial has an accuracy."""
    space = read_space(search.config["space"])
    defaults = stands_at(search.config["student"], space)
    shown = _shown(trials)
    points = [
        Point(
            trial.number,
            100 * (trial.accuracy or 0.0),
            stopped=trial.state == STOPPED,
            chosen=trial.number == winner,
            default=trial.values == defaults,
        )
        for trial in shown
    ]
    return search_plots.slices(points, [_slice(name, each, shown) for name, each in space.items()])


def importance(search: Job, trials: Sequence[Trial]) -> Figure | None:
    """The picture of a search's knobs; None where importances cannot be told."""
    if _why_no_importances(search, trials):
        return None
    return search_plots.importance({search.labels["cell"]: importances(read_space(search.config["space"]), trials)})


def pictures(search: Job, trials: Sequence[Trial], winner: int | None, folder: Path, dpi: int) -> list[Path]:
    """Write slices.png and importance.png, as far as they can be drawn."""
    draws: tuple[Callable[[], Figure | None], ...] = (
        lambda: slices(search, trials, winner) if _shown(trials) else None,
        lambda: importance(search, trials),
    )
    found: list[Path] = []
    for draw in draws:
        with style("png"):
            if drawn := draw():
                path = folder / f"{'importance' if found else 'slices'}.png"
                drawn.savefig(path, dpi=dpi, facecolor="white")
                found.append(path)
    return found


def _why_no_importances(search: Job, trials: Sequence[Trial]) -> str:
    return why_no_importances(from_plain(SearchConfig, search.config["how"]), read_space(search.config["space"]), trials)


def _slice(name: str, distribution: Distribution, trials: Sequence[Trial]) -> Slice:
    values = [trial.values[name] for trial in trials]
    if isinstance(distribution, Choice):
        texts = [canonical.text(value) for value in distribution.values]
        places = tuple(float(texts.index(canonical.text(value))) for value in values)
        return Slice(name, places, (0, len(texts) - 1), tuple(text.strip('"') for text in texts))
    limits, whole = (distribution.low, distribution.high), isinstance(distribution, IntUniform)
    return Slice(name, tuple(map(float, values)), limits, log=isinstance(distribution, LogUniform), whole=whole)
