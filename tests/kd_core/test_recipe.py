"""The recipe's schedule, by hand."""

from __future__ import annotations

import pytest

from kd_core.recipe import Recipe
from orchestrator.jobs import canonical
from orchestrator.jobs.canonical import from_plain


def test_the_literatures_default():
    recipe = Recipe()
    assert recipe.steps == (150, 180, 210)
    assert [recipe.lr_at(epoch) for epoch in (0, 149.99, 150, 180, 239)] == pytest.approx([0.05, 0.05, 5e-3, 5e-4, 5e-5])


def test_cosine_by_hand():
    recipe = Recipe(epochs=4, lr=1.0, schedule="cosine")
    # 0.5 · (1 + cos(π e / 4)) at e = 0, 1, 2, 3
    assert [recipe.lr_at(e) for e in range(4)] == pytest.approx([1.0, 0.853553, 0.5, 0.146447], abs=1e-6)


def test_warmup_rises_to_the_peak():
    recipe = Recipe(epochs=10, lr=1.0, schedule="constant", warmup=3)
    assert [recipe.lr_at(e) for e in (0, 1, 2, 3, 4)] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])


def test_linear_by_hand():
    recipe = Recipe(epochs=4, lr=2.0, schedule="linear", lr_end=0.1)
    # 2 · (0.1 + 0.9 · (1 − e / 4))
    assert [recipe.lr_at(e) for e in range(5)] == pytest.approx([2.0, 1.55, 1.1, 0.65, 0.2])


def test_cosine_ends_where_it_is_told():
    recipe = Recipe(epochs=4, lr=1.0, schedule="cosine", lr_end=0.2)
    assert [recipe.lr_at(e) for e in (0, 2, 4)] == pytest.approx([1.0, 0.6, 0.2])


def test_a_warmup_from_a_share_of_the_peak_rises_in_every_step():
    recipe = Recipe(epochs=10, lr=1.0, schedule="constant", warmup=2, warmup_from=0.1)
    assert [recipe.lr_at(e) for e in (0, 0.5, 1, 1.5, 2)] == pytest.approx([0.1, 0.325, 0.55, 0.775, 1.0])


def test_what_came_later_is_in_no_key_at_its_default():
    names = set(canonical.plain(Recipe()))
    assert names.isdisjoint({"optimizer", "betas", "ema", "mixup", "label_smoothing"})
    assert canonical.plain(Recipe(mixup=0.2)) == canonical.plain(Recipe()) | {"mixup": 0.2}
    assert from_plain(Recipe, canonical.plain(Recipe(optimizer="adam", ema=0.9))) == Recipe(optimizer="adam", ema=0.9)


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"lr": 0.0}, "`lr` must be > 0, but got 0.0"),
        ({"epochs": 0, "momentum": 1.0}, "`epochs` must be >= 1, but got 0; `momentum` must be >= 0 and < 1"),
        ({"schedule": "step"}, "`schedule` must be one of multistep, cosine, linear, constant, but got 'step'"),
        ({"optimizer": "lamb"}, "`optimizer` must be one of sgd, adam, adamw, muon, dot, but got 'lamb'"),
        ({"optimizer": "adam", "nesterov": True}, "`nesterov` is for optimizer sgd and muon, but `optimizer` is adam"),
        ({"warmup_from": 0.1}, "`warmup_from` needs `warmup` > 0"),
        ({"lr_end": 0.1}, "`lr_end` is for schedule cosine and linear, but `schedule` is multistep"),
        ({"optimizer": "dot", "delta": 0.1}, "must lie in [0, 1) for optimizer dot, but they are 0.9 and 0.1"),
        ({"optimizer": "dot", "clip": 1.0}, "`clip` bounds one gradient, and optimizer dot has two"),
        ({"ema": 1.0}, "`ema` must be > 0 and < 1"),
        ({"schedule": "cosine", "milestones": (1,)}, "`milestones` belong to schedule multistep"),
        ({"milestones": (20, 10)}, "`milestones` must rise"),
        ({"warmup": 240}, "`warmup` must be < epochs"),
        ({"nesterov": True, "momentum": 0.0}, "`nesterov` needs"),
        ({"lr": float("nan")}, "`lr` must be > 0, but got nan"),
    ],
)
def test_wrong_knobs_are_named(knobs, message):
    with pytest.raises(ValueError) as error:
        Recipe(**knobs)
    assert message in str(error.value)
