"""The training loop: it learns, it repeats, it resumes to the same bits, it says when it diverges."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch

from kd_core.bank.source import Live
from kd_core.data.batches import plain_batches
from kd_core.methods.setting import Loss
from kd_core.methods.table import METHODS
from kd_core.recipe import Recipe
from kd_core.training.checkpoint import Checkpoints
from kd_core.training.loop import Diverged, Training
from tests.support import small

RECIPE = Recipe(epochs=4, batch_size=16, lr=0.1, schedule="cosine")


class Killed(Exception):
    pass


def training(recipe=RECIPE, method=None, seed=0, teachers=()):
    network = small.network()
    return Training(network, method or small.plain(network), teachers, small.splits(), recipe, seed=seed)


def taught(name, student, teacher, **knobs):
    """A method by which one network teaches another; what begins with another loss does so for two of four epochs."""
    cls = METHODS[name]
    begins = {"init": 0.5} if "init" in {field.name for field in fields(cls.Config)} else {}
    return cls(cls.Config(**begins, **knobs), small.setting(student, (teacher,)))


def live(teacher, method):
    return Live(teacher, "cpu", method.needs(method.config))


def metrics(trained):
    return [record.metrics for record in trained.history]


def test_it_learns():
    trained = training(Recipe(epochs=20, batch_size=16, lr=0.1)).run()
    accuracies = [record.metrics["validation/accuracy"] for record in trained.history]
    assert max(accuracies) >= 0.9  # three balanced classes: chance is 1/3
    assert accuracies[trained.chosen_epoch - 1] == max(accuracies)
    assert accuracies.index(max(accuracies)) == trained.chosen_epoch - 1  # the first of the best


def test_a_seed_repeats_and_another_differs():
    assert metrics(training(seed=1).run()) == metrics(training(seed=1).run())
    assert metrics(training(seed=1).run()) != metrics(training(seed=2).run())


def test_the_global_generator_does_not_matter():
    first = training()
    torch.manual_seed(123)
    torch.rand(7)
    assert metrics(first.run()) == metrics(training().run())


def test_watching_the_test_split_adds_a_metric_and_changes_nothing_else():
    network = small.network()
    watching = Training(network, small.plain(network), (), small.splits(), RECIPE, seed=0, watch_test=True)
    found, plain = watching.run(), training().run()
    watched = [record.metrics.pop("test/accuracy") for record in found.history]
    assert metrics(found) == metrics(plain)
    assert found.chosen_epoch == plain.chosen_epoch
    network.eval()
    seen = network(torch.cat([batch.images_BCHW for batch in plain_batches(small.splits(), "test", "cpu")]))
    accuracy = (seen.argmax(1) == small.splits().test.labels_N).float().mean().item()
    assert watched[-1] == pytest.approx(accuracy)


MODERN = {
    "adamw": {"optimizer": "adamw", "lr": 0.01, "decay_all": False, "label_smoothing": 0.1},
    "muon": {"optimizer": "muon", "lr": 0.01, "clip": 1.0},
    "ema": {"ema": 0.9},
    "mixing": {"mixup": 0.4, "cutmix": 1.0},
}


# vid has trainable parts of its own; ab, ft and fsp begin with another loss, which leaves some parameters where they are
@pytest.mark.parametrize("name", ["none", "vid", "vid by dot", "ab", "ft by adamw", "fsp by dot", *MODERN])
def test_killed_after_any_epoch_it_ends_with_the_same_bits(tmp_path, name):
    def make():
        if name in MODERN:
            return training(replace(RECIPE, **MODERN[name]))
        if name == "none":
            return training()
        student, teacher = small.network(), small.network(seed=1, width=8)
        torch.manual_seed(5)
        called, _, optimizer = name.partition(" by ")
        method = taught(called, student, teacher)
        recipe = replace(RECIPE, optimizer=optimizer or "sgd", lr=0.02)
        return Training(student, method, (live(teacher, method),), small.splits(), recipe, seed=0)

    whole = make()
    expected = whole.run()
    for epoch in (1, 2, 3):
        checkpoints = Checkpoints(tmp_path / f"{name}{epoch}")

        def kill(record, epoch=epoch):
            if record.epoch == epoch:
                raise Killed

        with pytest.raises(Killed):
            make().run(checkpoints, kill)
        resumed = make()
        trained = resumed.run(checkpoints)
        assert metrics(trained) == metrics(expected)
        assert trained.chosen_epoch == expected.chosen_epoch
        for found, wanted in ((resumed.network.state_dict(), whole.network.state_dict()), (trained.chosen, expected.chosen)):
            assert all(torch.equal(found[key], wanted[key]) for key in wanted)


def test_the_average_is_what_is_evaluated_and_kept():
    found = training(replace(RECIPE, ema=0.9))
    trained = found.run()
    plain = training()
    plain.run()
    assert torch.equal(found.average.tensors["network.head.weight"], found.network.head.weight)
    assert not torch.equal(plain.network.head.weight, found.network.head.weight)
    found.network.eval()
    images, labels = small.splits().validation.images_NCHW, small.splits().validation.labels_N
    batches = plain_batches(small.splits(), "validation", "cpu")
    guess = torch.cat([found.network(batch.images_BCHW).argmax(1) for batch in batches])
    assert len(images) == len(guess)
    accuracy = (guess == labels).float().mean().item()
    assert accuracy == pytest.approx(trained.history[-1].metrics["validation/accuracy"])
    # it decides nothing of the training
    losses = [record.metrics["loss"] for record in trained.history]
    assert losses == [record.metrics["loss"] for record in training().run().history]


def without_validation():
    network, splits = small.network(), small.splits()
    splits = replace(splits, validation=splits.validation[torch.tensor([], dtype=torch.long)])
    return Training(network, small.plain(network), (), splits, RECIPE, seed=0)


def test_without_a_validation_split_the_last_epoch_counts(tmp_path):
    whole, expected = without_validation(), training()
    trained, validated = whole.run(), expected.run()
    assert trained.chosen_epoch == RECIPE.epochs
    assert all(torch.equal(trained.chosen[name], value) for name, value in whole.network.state_dict().items())
    for name, value in expected.network.state_dict().items():  # what is validated on decides nothing else
        assert torch.equal(whole.network.state_dict()[name], value)
    left = [{name: value for name, value in found.items() if "validation" not in name} for found in metrics(validated)]
    assert metrics(trained) == left

    def kill(record):
        if record.epoch == 2:
            raise Killed

    with pytest.raises(Killed):
        without_validation().run(Checkpoints(tmp_path), kill)
    resumed = without_validation().run(Checkpoints(tmp_path))
    assert resumed.chosen_epoch == RECIPE.epochs
    assert all(torch.equal(resumed.chosen[name], value) for name, value in trained.chosen.items())


def test_finished_means_nothing_is_trained_again(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    expected = training().run(checkpoints)
    told = []
    again = training().run(checkpoints, told.append)
    assert told == []
    assert metrics(again) == metrics(expected)


class Exploding(METHODS["none"]):
    def forward(self, student, teachers, batch, progress):
        loss = super().forward(student, teachers, batch, progress)
        scale = float("nan") if batch.epoch == 2 else 1.0
        return Loss({**loss.terms, "extra": student.logits_BK.mean() * scale})


def test_divergence_names_epoch_and_terms_and_keeps_the_checkpoint_before(tmp_path):
    student = small.network()
    run = Training(student, Exploding(Exploding.Config(), small.setting(student)), (), small.splits(), RECIPE, seed=0)
    with pytest.raises(Diverged, match=r"diverged in epoch 3: ce = .*, extra = nan") as error:
        run.run(Checkpoints(tmp_path))
    assert error.value.epoch == 3
    assert len(Checkpoints(tmp_path).newest().history) == 2


@pytest.mark.parametrize(("name", "term"), [("ab", "boundaries"), ("fsp", "flow"), ("ft", "reconstruction")])
def test_a_method_may_begin_with_another_loss(name, term):
    """While that is learnt the classifier stays as it was drawn, and of FT the whole student."""
    student, teacher = small.network(), small.network(seed=1, width=8)
    torch.manual_seed(5)
    method = taught(name, student, teacher)
    source, asked = live(teacher, method), []
    run = Training(student, method, (lambda batch: asked.append(batch.epoch) or source(batch),), small.splits(), RECIPE, seed=0)
    drawn, own = ({key: value.clone() for key, value in module.named_parameters()} for module in (student, method.own))
    begun = run.run(until=2)
    moved = {key for key, value in student.named_parameters() if not torch.equal(value, drawn[key])}
    assert not {key for key in moved if key.startswith("head")}
    assert bool(moved) == (name != "ft")
    learnt = {key for key, value in method.own.named_parameters() if not torch.equal(value, own[key])}
    assert learnt == {key for key in own if name != "ft" or key.startswith("paraphrasers")}
    assert all(f"loss/{term}" in record.metrics and "loss/ce" not in record.metrics for record in begun.history)
    ended = run.run()
    assert "loss/ce" in ended.history[-1].metrics
    assert f"loss/{term}" not in ended.history[-1].metrics
    assert not torch.equal(student.head.weight, drawn["head.weight"])
    assert set(asked) == ({0, 1, 2, 3} if name == "ft" else {0, 1})  # a teacher to whom nobody listens is not asked


def test_the_means_count_every_sample_once():
    """With a frozen student (lr ~ 0) the epoch's mean loss is that of the whole split, whatever the batch: 50 = 3·16 + 2."""
    losses = []
    for batch_size in (16, 50):
        run = training(Recipe(epochs=1, batch_size=batch_size, lr=1e-30))
        for module in run.network.modules():
            if isinstance(module, torch.nn.BatchNorm2d | torch.nn.Dropout):
                module.train = lambda mode=True, module=module: module  # batch statistics would differ between batch sizes
                module.training = False
        losses.append(run.run().history[0].metrics["loss/ce"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_bf16_trains_and_losses_stay_float32():
    run = training(Recipe(epochs=1, batch_size=16, lr=0.1, precision="bf16"))
    seen = []
    forward = run.method.forward

    def spy(student, *rest):
        seen.append(student.logits_BK.dtype)
        return forward(student, *rest)

    run.method.forward = spy
    run.run()
    assert set(seen) == {torch.float32}
