"""The recipe's schedule, by hand."""

from __future__ import annotations

import pytest

from kd_core.recipe import Recipe


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


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"lr": 0.0}, "`lr` must be > 0, but got 0.0"),
        ({"epochs": 0, "momentum": 1.0}, "`epochs` must be >= 1, but got 0; `momentum` must be >= 0 and < 1"),
        ({"schedule": "step"}, "`schedule` must be one of multistep, cosine, constant, but got 'step'"),
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
