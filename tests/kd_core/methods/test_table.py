"""Laws that every method of the table obeys. What is particular to a method is tested in methods/test_<method>.py."""

from __future__ import annotations

import copy
import dataclasses
import functools
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch

from kd_core.knobs import Bounds
from kd_core.knowledge import Batch, Knowledge, Need
from kd_core.methods.method import Method
from kd_core.methods.setting import Loss
from kd_core.methods.table import METHODS
from tests.support.toys import (
    COARSER,
    DEEPER,
    STUDENT,
    WIDER,
    as_needed,
    as_student,
    batch_of,
    knowledge_of,
    leaves,
    make,
    setting_of,
)

VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "cc, reference": ("cc", {"form": "reference"}),
    "dkd, no warm-up": ("dkd", {"warmup": 0}),
    "ca_mkd, reference scale": ("ca_mkd", {"reference_scale": True}),
    "ebkd, reference scale": ("ebkd", {"reference_scale": True}),
    "logit_std of dkd": ("logit_std", {"base": "dkd", "knobs": {"beta": 2}}),
    "logit_std of aekd": ("logit_std", {"base": "aekd"}),
    "gpac, every teacher everywhere": ("gpac", {"top": None, "tau_probe": float("inf")}),
    "gpac, instruction only": ("gpac", {"beta": 0.0}),
    "gpac, attention only": ("gpac", {"alpha": 0.0}),
    "mgd, stable": ("mgd", {"scheme": "stable"}),
    "mgd of at": ("mgd", {"base": "at", "knobs": {"beta": 100}}),
    "mgd of fitnet, stable": ("mgd", {"base": "fitnet", "scheme": "stable"}),
    "mgd of crd, no divergence": ("mgd", {"base": "crd", "div": 0.0}),
    "mgd of afd": ("mgd", {"base": "afd"}),
    "mgd of gpac, stable": ("mgd", {"base": "gpac", "scheme": "stable"}),
    "mgd of sp, stable, no codes": ("mgd", {"base": "sp", "scheme": "stable", "gamma": 0.0}),
    "mgd of at, the control": ("mgd", {"base": "at", "gamma": 0.0}),
}
CASES = {name: (name, {}) for name in METHODS} | VARIANTS
TEACHERS = (WIDER, DEEPER, COARSER)
PROGRESS = 0.5
EPOCH = 100  # past every warm-up

# an adapter, a prediction or a memory of its own stands between what the student says and what the teacher says
NOT_MINIMAL_AT_THE_TEACHER = {
    *("fitnet", "vid", "cc, reference", "crd", "afd", "reviewkd", "simkd"),
    *("ca_mkd", "ca_mkd, reference scale", "mmkd", "mtkd_rl"),
    *(case for case in CASES if case.startswith("mgd") and not case.endswith("the control")),
    "none",  # which has no term but the cross-entropy
}
COUNTS_ITS_STEPS = {"mmkd"}  # and decides by the count whether to learn
PAIRS_NEIGHBOURS = {"cc, reference"}  # its loss depends on who comes next to whom in the batch


def set_apart(exceptions: set[str]) -> list[str]:
    assert exceptions <= set(CASES)
    return [case for case in CASES if case not in exceptions]


every_case = pytest.mark.parametrize("case", CASES)
every_method = pytest.mark.parametrize("name", METHODS)


def built(case: str, *teachers: Any) -> Method:
    name, knobs = CASES[case]
    return make(name, setting_of(*(teachers or TEACHERS)), **knobs)


def spoken(method: Method, samples: int = 4) -> tuple[Knowledge, tuple[Knowledge, ...]]:
    """The student's and the teachers' knowledge of one batch."""
    needs = method.needs(method.config)
    teachers = tuple(as_needed(knowledge_of(shape, 1 + t, samples), needs) for t, shape in enumerate(method.setting.teachers))
    return as_student(knowledge_of(STUDENT, 0, samples)), teachers


def changed(change: Callable[[torch.Tensor], torch.Tensor], knowledge: Knowledge) -> Knowledge:
    """The same, each tensor that is there put through ``change``."""
    logits_BK, embedding_BD = (
        None if tensor is None else change(tensor) for tensor in (knowledge.logits_BK, knowledge.embedding_BD)
    )
    return Knowledge(logits_BK, tuple(map(change, knowledge.features)), embedding_BD, tuple(map(change, knowledge.maps)))


def answer(method: Method, student: Knowledge, teachers: tuple[Knowledge, ...], batch: Batch | None = None) -> Loss:
    batch = batch or batch_of(student.logits_BK.shape[0], EPOCH)
    return method.forward(student, teachers if method.needs(method.config) else (), batch, PROGRESS)


def total(loss: Loss) -> torch.Tensor:
    return torch.stack(list(loss.terms.values())).sum()


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


@every_case
def test_terms_are_finite_scalars_and_curves_detached(case):
    method = built(case)
    loss = answer(method, *spoken(method))
    assert loss.terms
    for value in [*loss.terms.values(), *loss.curves.values()]:
        assert value.shape == ()
        assert torch.isfinite(value)
    assert not any(value.requires_grad for value in loss.curves.values())


@every_case
def test_every_term_moves_the_student(case):
    method = built(case)
    student, teachers = spoken(method)
    for name, term in answer(method, student, teachers).terms.items():
        gradients = torch.autograd.grad(term, leaves(student), retain_graph=True, allow_unused=True)
        assert any(gradient is not None and gradient.abs().max() > 0 for gradient in gradients), name
        assert all(gradient is None or gradient.isfinite().all() for gradient in gradients), name


@every_case
def test_every_trainable_parameter_gets_a_gradient(case):
    method = built(case)
    total(answer(method, *spoken(method))).backward()
    for parameter in method.trainable():
        assert parameter.grad is not None
        assert parameter.grad.abs().max() > 0


@every_case
def test_teachers_stay_as_they_are(case):
    method = built(case)
    student, teachers = spoken(method)
    frozen = (*method.setting.heads, *method.setting.analysers)
    frozen_before = copy.deepcopy(frozen)
    spoken_before = copy.deepcopy(teachers)
    trainable = list(method.trainable())
    total(answer(method, student, teachers)).backward()
    if trainable:
        torch.optim.SGD(trainable, lr=1.0).step()
    for module, before in zip(frozen, frozen_before, strict=True):
        same(module.state_dict(), before.state_dict())
        assert all(parameter.grad is None for parameter in module.parameters())
    for teacher, before in zip(teachers, spoken_before, strict=True):
        torch.testing.assert_close(dataclasses.astuple(teacher), dataclasses.astuple(before), rtol=0, atol=0)


@every_case
def test_the_order_of_the_teachers_is_nothing(case):
    order = (2, 0, 1)  # teacher `order[new]` comes to stand at `new`
    method = built(case)
    student, teachers = spoken(method)
    setting = method.setting
    reordered = type(method)(
        method.config,
        dataclasses.replace(
            setting,
            teachers=tuple(setting.teachers[t] for t in order),
            probes=tuple(setting.probes[t] for t in order) if setting.probes else (),
            heads=tuple(setting.heads[t] for t in order) if setting.heads else (),
            analysers=tuple(setting.analysers[t] for t in order) if setting.analysers else (),
        ),
    )

    def renamed(found: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """What a method keeps or tells of a teacher carries `teacher<index>` in its name."""
        return {re.sub(r"teacher(\d)", lambda m: f"teacher{order.index(int(m[1]))}", key): v for key, v in found.items()}

    reordered.own.load_state_dict(renamed(method.own.state_dict()))
    loss = answer(method, student, teachers)
    loss_of_reordered = answer(reordered, student, tuple(teachers[t] for t in order))
    same(loss.terms, loss_of_reordered.terms)
    same(renamed(loss.curves), loss_of_reordered.curves)


@pytest.mark.parametrize("case", set_apart(PAIRS_NEIGHBOURS))
def test_the_order_of_the_samples_is_nothing(case):
    order = torch.tensor([2, 0, 3, 1])
    method, twin = built(case), built(case)
    student, teachers = spoken(method)
    batch = batch_of(4, EPOCH)
    other = Batch(batch.images_BCHW, batch.labels_B[order], batch.indices_B[order], batch.views_B[order], EPOCH)
    one = answer(method, student, teachers, batch)
    shuffle = functools.partial(changed, lambda tensor: tensor[order])
    two = answer(twin, shuffle(student), tuple(map(shuffle, teachers)), other)
    same(one.terms, two.terms)


@pytest.mark.parametrize("case", set_apart(NOT_MINIMAL_AT_THE_TEACHER))
def test_minimal_where_the_student_is_the_teacher(case):
    method = built(case, STUDENT, STUDENT)
    teacher = knowledge_of(STUDENT, 1)
    teachers = (as_needed(teacher, method.needs(method.config)),) * 2

    def distilled(student: Knowledge) -> float:
        terms = answer(method, student, teachers).terms
        return sum(term.item() for name, term in terms.items() if name != "ce")

    least = distilled(as_student(teacher))
    generator = torch.Generator().manual_seed(3)
    for size in (0.01, 0.1, 1.0):
        moved = [tensor + size * torch.randn(tensor.shape, generator=generator) for tensor in leaves(teacher)]
        assert distilled(Knowledge(moved[0], tuple(moved[1:-1]), moved[-1])) > least


@every_case
def test_a_batch_of_one_sample_is_finite(case):
    method = built(case)
    student, teachers = spoken(method, samples=1)
    loss = answer(method, student, teachers)
    assert all(term.isfinite() for term in loss.terms.values()), loss.terms
    found = torch.autograd.grad(total(loss), [*leaves(student), *method.trainable()], allow_unused=True)
    assert all(gradient.isfinite().all() for gradient in found if gradient is not None)


@every_case
def test_needs_cover_what_is_used(case):
    method, twin = built(case), built(case)
    student, teachers = spoken(method)
    everything = tuple(knowledge_of(shape, 1 + t) for t, shape in enumerate(TEACHERS))
    same(answer(method, student, teachers).terms, answer(twin, student, everything).terms)


@every_case
def test_global_random_state_is_not_touched(case):
    method = built(case)
    student, teachers = spoken(method)
    before = torch.get_rng_state()
    answer(method, student, teachers)
    assert torch.equal(torch.get_rng_state(), before)


@every_case
def test_own_state_is_all_that_a_checkpoint_needs(case):
    method = built(case)
    student, teachers = spoken(method)
    for _ in range(6):
        answer(method, student, teachers)
    resumed = built(case)
    resumed.own.load_state_dict(copy.deepcopy(method.own.state_dict()))
    same(answer(method, student, teachers).terms, answer(resumed, student, teachers).terms)
    same(method.own.state_dict(), resumed.own.state_dict())


@pytest.mark.parametrize("case", set_apart(COUNTS_ITS_STEPS))
def test_computes_where_its_tensors_are_and_never_waits_for_them(case):
    """On the meta device, where a tensor of another device, or a value that is asked for, is an error."""
    method = built(case)
    for module in (method.own, *method.setting.heads, *method.setting.analysers):
        module.to("meta")
    student, teachers = spoken(method)
    move = functools.partial(changed, lambda tensor: tensor.detach().to("meta").requires_grad_(tensor.requires_grad))
    student, teachers = move(student), tuple(map(move, teachers))
    batch = batch_of(4, EPOCH)
    there = Batch(*(each.to("meta") for each in (batch.images_BCHW, batch.labels_B, batch.indices_B, batch.views_B)), EPOCH)
    loss = answer(method, student, teachers, there)
    total(loss).backward()
    assert all(value.is_meta for value in [*loss.terms.values(), *loss.curves.values(), method.predict(student)])


@every_method
def test_space_is_made_of_knobs_and_holds_the_defaults(name):
    config = METHODS[name].Config()
    for knob, distribution in config.space().items():
        assert distribution.holds(getattr(config, knob)), knob


def forbidden(bounds: Bounds) -> list[Any]:
    """Values just outside of each side of the bounds."""
    if bounds.choices is not None:
        return ["no such choice"]
    outside = [] if bounds.low is None else [bounds.low - 1]
    outside += [] if bounds.high is None else [bounds.high + 1]
    return outside + [limit for limit in (bounds.above, bounds.below) if limit is not None]


@every_method
def test_configs_refuse_by_name_what_is_out_of_bounds(name):
    config = METHODS[name].Config
    for field in dataclasses.fields(config):
        for value in forbidden(field.metadata["bounds"]):
            refused = (value,) if isinstance(field.default, tuple) else value
            with pytest.raises(ValueError, match=f"`{field.name}` must be"):
                config(**{field.name: refused})


@every_method
def test_needs_are_known_without_a_setting(name):
    method = METHODS[name]
    assert method.needs(method.Config()) <= set(Need)


def test_the_table_is_read_without_torch():
    script = (
        "import sys\n"
        "from kd_core.methods.table import METHODS\n"
        "for method in METHODS.values():\n"
        "    config = method.Config(); method.needs(config); config.space()\n"
        "from kd_core.methods.selection import matched_accuracy, selection\n"
        "selection(matched_accuracy(((0.5,),), ((8, 8),), (((8, 8),),)), 1, 0.01)\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
