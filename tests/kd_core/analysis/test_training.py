"""The self-analysing stage: values by hand, its recipe, that it learns, repeats and resumes to the same bits."""

from __future__ import annotations

import contextlib
import functools
import math
from dataclasses import replace

import pytest
import torch

from kd_core.analysis.training import Analysing
from kd_core.bank.source import Live
from kd_core.losses import stable_BK
from kd_core.methods.modules.analyser import Analyser, analysis_terms, granularity_of
from kd_core.methods.modules.analysis_config import AnalysisConfig
from kd_core.recipe import Recipe
from kd_core.training.checkpoint import Checkpoints
from kd_core.training.loop import Training
from kd_core.training.optim import Diverged
from tests.support import small
from tests.support.hand import LN2, LN3, D

CONFIG = AnalysisConfig(epochs=4, batch_size=16, lr=0.1, codes=(3, 6))


class Killed(Exception):
    pass


def analysing(config=CONFIG, seed=0, teacher=None) -> Analysing:
    torch.manual_seed(5)
    teacher = teacher or small.network()
    analyser = Analyser(config, teacher.head.in_features, small.CLASSES)
    return Analysing(analyser, Live(teacher, "cpu"), small.splits(), seed=seed)


def metrics(history):
    return [record.metrics for record in history]


def test_shapes():
    codes, decoded = Analyser(CONFIG, embedding=8, classes=5)(torch.zeros(2, 8))
    assert [tuple(code.shape) for code in codes] == [(2, 3), (2, 6)]
    assert [tuple(logits.shape) for logits in decoded] == [(2, 5)] * 2
    # of the published size: encoders D² + D + n·D + n, decoders n·D + D + K·D + K; D = 4, K = 2, n = 3
    parameters = Analyser(AnalysisConfig(codes=(3,), temperatures=(1.0,)), embedding=4, classes=2).parameters()
    assert sum(parameter.numel() for parameter in parameters) == (16 + 4 + 12 + 3) + (12 + 4 + 8 + 2)


def test_terms():
    # decoded (0, 0) of both samples: CE = ln 2. The teacher's (2 ln 3, 0) at T = 2 is (3/4, 1/4): 4 · D, the other sample
    # agrees. Decoded as the teacher: KL = 0, CE = (ln(1 + 1/9) + ln 2) / 2 of labels 0 and 1.
    logits_BK = torch.tensor([[2 * LN3, 0.0], [0.0, 0.0]])
    found = analysis_terms((torch.zeros(2, 2), logits_BK), logits_BK, torch.tensor([0, 1]), (2.0, 8.0))
    expected = {
        "kl/granularity0": 2 * D,
        "ce/granularity0": LN2,
        "kl/granularity1": 0.0,
        "ce/granularity1": (math.log(10 / 9) + LN2) / 2,
    }
    torch.testing.assert_close(found, {name: torch.tensor(value) for name, value in expected.items()})


def test_stable_excitation():
    found = stable_BK(torch.tensor([[9.0, 0.0]]), (torch.tensor([[1.0, 3.0]]), torch.tensor([[2.0, 0.0]])))
    torch.testing.assert_close(found, torch.tensor([[4.0, 1.0]]))


def test_the_published_recipe():
    config = AnalysisConfig()
    rates = [config.lr_at(epoch) for epoch in (0, 29.9, 30, 44.9, 45, 59.9)]
    assert rates == pytest.approx([0.01, 0.01, 0.001, 0.001, 0.0001, 0.0001])
    assert (config.momentum, config.weight_decay, config.batch_size, config.epochs) == (0.9, 5e-4, 64, 60)
    assert AnalysisConfig(epochs=8).steps == (4, 6)


@pytest.mark.parametrize("knobs", [{"codes": (64,)}, {"codes": (), "temperatures": ()}, {"temperatures": (1.0, 2.0, 3.0)}])
def test_every_granularity_has_a_code_and_a_temperature(knobs):
    with pytest.raises(ValueError, match="`codes` and `temperatures` must hold a value for each granularity"):
        AnalysisConfig(**knobs)


def test_it_learns_at_every_granularity_and_leaves_the_teacher_alone():
    teacher = small.network(width=8)
    Training(teacher, small.plain(teacher), (), small.splits(), Recipe(epochs=10, batch_size=16, lr=0.1), seed=0).run()
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    config = AnalysisConfig(epochs=20, batch_size=16, lr=0.03, codes=(8, 16))
    history = analysing(config, teacher=teacher).run()
    first, last = history[0].metrics, history[-1].metrics
    for granularity in (0, 1):
        for term in ("kl", "ce"):
            name = f"validation/loss/{term}/granularity{granularity}"
            assert last[name] < first[name] / 2
        assert last[f"validation/accuracy/granularity{granularity}"] >= 0.8  # chance is 1/3
    assert last["loss"] == pytest.approx(sum(value for name, value in last.items() if name.startswith("loss/")))
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())


def test_a_seed_repeats_and_another_differs():
    assert metrics(analysing().run()) == metrics(analysing().run())
    assert metrics(analysing().run()) != metrics(analysing(seed=1).run())


@pytest.mark.parametrize("keep", ["last", "best"])
@pytest.mark.parametrize("last", [1, 2, 3])
def test_killed_after_any_epoch_it_ends_with_the_same_bits(tmp_path, last, keep):
    def kill(record):
        if record.epoch == last:
            raise Killed

    config = replace(CONFIG, keep=keep)
    whole, resumed = analysing(config), analysing(config)
    expected = whole.run()
    with pytest.raises(Killed):
        analysing(config).run(Checkpoints(tmp_path), kill)
    told = []
    assert metrics(resumed.run(Checkpoints(tmp_path), told.append)) == metrics(expected)
    assert [record.epoch for record in told] == list(range(last + 1, 5))
    wanted = whole.analyser.state_dict()
    assert all(torch.equal(value, wanted[name]) for name, value in resumed.analyser.state_dict().items())
    assert resumed.kept() == whole.kept()
    again = analysing(config)
    again.run(Checkpoints(tmp_path))  # nothing is left to train
    assert all(torch.equal(value, wanted[name]) for name, value in again.analyser.state_dict().items())


BEST = AnalysisConfig(epochs=6, batch_size=16, lr=0.3, codes=(3, 6), keep="best")


def test_the_best_epoch_of_each_granularity_is_kept():
    """Whole, and beside it as they came: the same trainings, stopped at those epochs."""
    run = analysing(BEST)
    accuracies = metrics(run.run())
    assert accuracies == metrics(analysing(replace(BEST, keep="last")).run())
    best = {}
    for granularity in (0, 1):
        found = [each[f"validation/accuracy/granularity{granularity}"] for each in accuracies]
        best[granularity] = found.index(max(found)) + 1
        assert run.kept()[f"validation/accuracy/granularity{granularity}"] == max(found)
    assert set(best.values()) != {BEST.epochs}  # or nothing is tested here
    state = run.analyser.state_dict()
    assert {granularity_of(name) for name in state} == {0, 1}
    for granularity, epoch in best.items():
        stopped = analysing(replace(BEST, keep="last"))
        with contextlib.suppress(Killed):
            stopped.run(on_epoch=functools.partial(kill_after, epoch))
        wanted = {name: value for name, value in stopped.analyser.state_dict().items() if granularity_of(name) == granularity}
        assert all(torch.equal(state[name], value) for name, value in wanted.items())


def kill_after(epoch, record):
    if record.epoch == epoch:
        raise Killed


def test_divergence_is_said():
    with pytest.raises(Diverged, match=r"diverged in epoch 1: kl/granularity0 = "):
        analysing(AnalysisConfig(epochs=2, batch_size=16, lr=1e30, codes=(3, 6))).run()


def test_bf16_changes_the_forward_passes_alone():
    run = analysing(AnalysisConfig(epochs=1, batch_size=16, lr=0.1, codes=(3, 6), precision="bf16"))
    exact = metrics(analysing(AnalysisConfig(epochs=1, batch_size=16, lr=0.1, codes=(3, 6))).run())
    [found] = metrics(run.run())
    assert found["loss"] != exact[0]["loss"]
    assert found["loss"] == pytest.approx(exact[0]["loss"], rel=0.05)
    assert {parameter.dtype for parameter in run.analyser.parameters()} == {torch.float32}
