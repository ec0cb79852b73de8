"""Laws of every method, on knowledge of small networks: three teachers that differ in width, depth and resolution."""

from __future__ import annotations

import copy
import dataclasses
import functools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from kd_core.knowledge import Batch, Knowledge, Need, NetworkShape, Side
from kd_core.laws.knobs import KNOB_LAWS
from kd_core.laws.law import Broken, Exempt, Law, must
from kd_core.laws.toys import (
    COARSER,
    DEEPER,
    STUDENT,
    TRANSFORMER,
    WIDER,
    as_needed,
    as_student,
    batch_of,
    knowledge_of,
    leaves,
    made,
    of_leaves,
    setting_of,
    under_views,
)
from kd_core.methods.method import Method
from kd_core.methods.setting import Loss

TEACHERS = (WIDER, DEEPER, COARSER)
PROGRESS = 0.5
EPOCH = 100  # past every warm-up
CLOSE = {"rtol": 1e-4, "atol": 1e-6}


@dataclass(frozen=True)
class Case:
    """A method with knobs."""

    method: type[Method]
    knobs: Mapping[str, Any] = field(default_factory=dict)

    def built(self, *teachers: NetworkShape, student: NetworkShape = STUDENT) -> Method:
        """It, its own parameters drawn from a fixed seed."""
        return made(self.method, setting_of(*(teachers or TEACHERS), student=student), **self.knobs)


def example_knowledge(method: Method, samples: int = 4) -> tuple[Knowledge, tuple[Knowledge, ...]]:
    """The student's and the teachers' knowledge of one batch."""
    needs = method.needs(method.config)
    teachers = tuple(as_needed(seen(method, shape, 1 + t, samples), needs) for t, shape in enumerate(method.setting.teachers))
    return as_student(seen(method, method.setting.student, 0, samples)), teachers


def seen(method: Method, shape: NetworkShape, seed: int, samples: int = 4) -> Knowledge:
    """What a network of this shape says, under as many views as the method asks for."""
    others = range(len(method.further_views(method.config)))
    return under_views(
        knowledge_of(shape, seed, samples), *(knowledge_of(shape, seed + 100 * (1 + v), samples) for v in others)
    )


def changed(change: Callable[[Tensor], Tensor], knowledge: Knowledge) -> Knowledge:
    """The same, each tensor that is there put through ``change``."""
    logits_BK, embedding_BD, last_BCHW = (
        None if tensor is None else change(tensor)
        for tensor in (knowledge.logits_BK, knowledge.embedding_BD, knowledge.last_BCHW)
    )
    return dataclasses.replace(
        knowledge,
        logits_BK=logits_BK,
        features=tuple(map(change, knowledge.features)),
        embedding_BD=embedding_BD,
        last_BCHW=last_BCHW,
        before=tuple(map(change, knowledge.before)),
        maps=tuple(map(change, knowledge.maps)),
        others=tuple(changed(change, other) for other in knowledge.others),
    )


def answer(
    method: Method,
    student: Knowledge,
    teachers: tuple[Knowledge, ...],
    batch: Batch | None = None,
    progress: float = PROGRESS,
) -> Loss:
    """What it says of a batch."""
    batch = batch or batch_of(student.logits_BK.shape[0], EPOCH)
    return method.forward(student, teachers if method.needs(method.config) else (), batch, progress)


def total(loss: Loss) -> Tensor:
    """The sum that is minimised."""
    return torch.stack(list(loss.terms.values())).sum()


def same(one: Mapping[str, Tensor], other: Mapping[str, Tensor], when: str) -> None:
    """Raises:
    Broken: naming what differs.
    """
    must(one.keys() == other.keys(), f"{when}, {sorted(one.keys() ^ other.keys())} comes or goes")
    for name, value in one.items():
        if not torch.allclose(value.detach().double(), other[name].detach().double(), equal_nan=True, **CLOSE):
            shown = f": {value.item():g} and {other[name].item():g}" if value.numel() == 1 else ""
            raise Broken(f"{when}, `{name}` differs{shown}")


def needs_are_known(case: Case) -> None:
    needs = case.method.needs(case.method.Config())
    answered = isinstance(needs, frozenset) and needs <= set(Need)
    must(answered, f"needs {needs!r}, which nothing can answer; allowed is a frozenset of {', '.join(Need)}")


def terms_are_finite_scalars(case: Case) -> None:
    method = case.built()
    loss = answer(method, *example_knowledge(method))
    must(isinstance(loss, Loss), f"forward must return a kd_core.methods.setting.Loss, but gave a {type(loss).__name__}")
    must(loss.terms, "the loss has no terms")
    for name, value in [*loss.terms.items(), *loss.curves.items()]:
        must(isinstance(value, Tensor), f"`{name}` must be a tensor, but is a {type(value).__name__}")
        must(value.shape == (), f"`{name}` must be a scalar, but is of shape {tuple(value.shape)}")
        must(torch.isfinite(value), f"`{name}` is {value.item():g}")
    for name, value in loss.curves.items():
        must(not value.requires_grad, f"the curve `{name}` is not detached")


def every_term_moves_the_student(case: Case) -> None:
    method = case.built()
    student, teachers = example_knowledge(method)
    for name, term in answer(method, student, teachers).terms.items():
        must(term.requires_grad, f"the term `{name}` has no gradient at all")
        gradients = torch.autograd.grad(term, leaves(student), retain_graph=True, allow_unused=True)
        moved = any(gradient is not None and gradient.abs().max() > 0 for gradient in gradients)
        must(moved, f"the term `{name}` has no gradient at the student")
        finite = all(gradient is None or gradient.isfinite().all() for gradient in gradients)
        must(finite, f"the gradient of the term `{name}` is not finite")


def every_parameter_is_trained(case: Case) -> None:
    method = case.built()
    names = {id(parameter): name for name, parameter in method.own.named_parameters()}
    for progress in (0.0, PROGRESS):  # some methods begin with another loss
        total(answer(method, *example_knowledge(method), progress=progress)).backward()
    for parameter in method.trainable():
        name = names.get(id(parameter))
        must(name, "a trainable parameter is not in `self.own`, so no checkpoint would hold it")
        must(parameter.grad is not None and parameter.grad.abs().max() > 0, f"its parameter `{name}` gets no gradient")


def teachers_stay(case: Case) -> None:
    method = case.built()
    student, teachers = example_knowledge(method)
    frozen: tuple[nn.Module, ...] = (*method.setting.heads, *method.setting.analysers)
    frozen_before, knowledge_before = copy.deepcopy(frozen), copy.deepcopy(teachers)
    trainable = list(method.trainable())
    total(answer(method, student, teachers)).backward()
    if trainable:
        torch.optim.SGD(trainable, lr=1.0).step()
    for module, before in zip(frozen, frozen_before, strict=True):
        same(module.state_dict(), before.state_dict(), "after a step, a teacher's part is another")
        must(all(each.grad is None for each in module.parameters()), "a teacher's frozen part gets a gradient")
    unchanged(teachers, knowledge_before, "a teacher")


def inputs_stay(case: Case) -> None:
    method = case.built()
    student, teachers = example_knowledge(method)
    batch = batch_of(4, EPOCH)
    before = [each.detach().clone() for each in leaves(student)]
    batch_before = copy.deepcopy(batch)
    answer(method, student, teachers, batch)
    kept = all(torch.equal(one, other) for one, other in zip(leaves(student), before, strict=True))
    must(kept, "what the student said is changed in place")
    for part in ("images_BCHW", "labels_B", "indices_B", "views_B"):
        must(torch.equal(getattr(batch, part), getattr(batch_before, part)), f"the batch's {part} is changed in place")


def unchanged(knowledge: Iterable[Knowledge], before: Iterable[Knowledge], whose: str) -> None:
    for one, other in zip(knowledge, before, strict=True):
        tensors = [(one.logits_BK, other.logits_BK), (one.embedding_BD, other.embedding_BD), (one.last_BCHW, other.last_BCHW)]
        for name in ("features", "before", "maps"):
            tensors += zip(getattr(one, name), getattr(other, name), strict=True)
        kept = all(now is None or torch.equal(now, then) for now, then in tensors)
        must(kept, f"what {whose} said is changed in place")


def same_again(case: Case) -> None:
    one, two = case.built(), case.built()
    first, second = (answer(method, *example_knowledge(method)).terms for method in (one, two))
    same(first, second, "built and asked twice with the same seed")


def order_of_teachers(case: Case) -> None:
    order = (2, 0, 1)  # teacher `order[new]` comes to stand at `new`
    method = case.built()
    student, teachers = example_knowledge(method)
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
    listed = isinstance(method.own, nn.ModuleList)  # one part a teacher, by its number alone

    def renamed(found: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What a method keeps or tells of a teacher carries `teacher<index>` in its name."""
        named = {re.sub(r"teacher(\d)", lambda m: f"teacher{order.index(int(m[1]))}", key): v for key, v in found.items()}
        return (
            {re.sub(r"^(\d)(?=\.)", lambda m: str(order.index(int(m[1]))), key): v for key, v in named.items()}
            if listed
            else named
        )

    try:
        reordered.own.load_state_dict(renamed(method.own.state_dict()))
    except RuntimeError as error:
        raise Broken(
            "what `self.own` keeps of a teacher must carry teacher<index> in its name, or `self.own` be a ModuleList of a part "
            f"for each: {str(error).splitlines()[-1].strip()}"
        ) from None
    loss = answer(method, student, teachers)
    other = answer(reordered, student, tuple(teachers[t] for t in order))
    same(loss.terms, other.terms, "with the teachers in another order")
    same(renamed(loss.curves), other.curves, "with the teachers in another order")


def order_of_samples(case: Case) -> None:
    order = torch.tensor([2, 0, 3, 1])
    method, twin = case.built(), case.built()
    student, teachers = example_knowledge(method)
    batch = batch_of(4, EPOCH)
    other = Batch(batch.images_BCHW, batch.labels_B[order], batch.indices_B[order], batch.views_B[order], EPOCH)
    one = answer(method, student, teachers, batch)
    shuffle = functools.partial(changed, lambda tensor: tensor[order])
    two = answer(twin, shuffle(student), tuple(map(shuffle, teachers)), other)
    same(one.terms, two.terms, "with the samples in another order")


def least_at_the_teacher(case: Case) -> None:
    method = case.built(STUDENT, STUDENT)
    teacher = seen(method, STUDENT, 1)
    teachers = (as_needed(teacher, method.needs(method.config)),) * 2
    method.setting = dataclasses.replace(method.setting, heads=tuple(teacher.head for _ in method.setting.heads))

    def distilled(student: Knowledge) -> float:
        terms = answer(method, student, teachers).terms
        return sum(term.item() for name, term in terms.items() if name != "ce")

    if method.own.state_dict():
        raise Exempt("a part of its own stands between what the student says and what the teacher says")
    if set(answer(method, as_student(teacher), teachers).terms) <= {"ce"}:
        raise Exempt("it has no term but `ce`")
    least = distilled(as_student(teacher))
    generator = torch.Generator().manual_seed(3)
    for size in (0.01, 0.1, 1.0):
        moved = [tensor + size * torch.randn(tensor.shape, generator=generator) for tensor in leaves(teacher)]
        away = distilled(of_leaves(moved, teacher))
        must(away > least, f"a student that is {size} away from the teachers has the loss {away:g}, at the teachers {least:g}")


def one_sample(case: Case) -> None:
    method = case.built()
    student, teachers = example_knowledge(method, samples=1)
    loss = answer(method, student, teachers)
    for name, term in loss.terms.items():
        must(term.isfinite(), f"of a batch of one sample `{name}` is {term.item():g}")
    found = torch.autograd.grad(total(loss), [*leaves(student), *method.trainable()], allow_unused=True)
    finite = all(gradient.isfinite().all() for gradient in found if gradient is not None)
    must(finite, "of a batch of one sample a gradient is not finite")


def needs_cover(case: Case) -> None:
    method, twin = case.built(), case.built()
    student, teachers = example_knowledge(method)
    everything = tuple(seen(method, shape, 1 + t) for t, shape in enumerate(TEACHERS))
    with_more = answer(twin, student, everything).terms
    same(answer(method, student, teachers).terms, with_more, "with teachers that say more than it `needs`")


def tokens_where_it_takes_them(case: Case) -> None:
    mapped = case.method.maps(case.method.Config(**case.knobs))
    if mapped == frozenset(Side):
        raise Exempt("it compares feature maps")
    student = STUDENT if Side.STUDENT in mapped else TRANSFORMER
    teachers = (WIDER, DEEPER) if Side.TEACHER in mapped else (WIDER, TRANSFORMER)
    for pair in ((student, teachers), (student, (WIDER, DEEPER)), (STUDENT, teachers)):
        method = case.built(*pair[1], student=pair[0])
        loss = answer(method, *example_knowledge(method))
        for name, term in loss.terms.items():
            must(term.isfinite(), f"with a transformer `{name}` is {term.item():g}")
        total(loss).backward()
        names = {id(each): name for name, each in method.own.named_parameters()}
        still = [names[id(each)] for each in method.trainable() if each.grad is None or not each.grad.any()]
        must(not still, f"with a transformer its parameter `{''.join(still[:1])}` gets no gradient")


def softened_is_all(case: Case) -> None:
    method = case.built()
    if method.softened(method.config) is None:
        return
    student, teachers = example_knowledge(method)
    generator = torch.Generator().manual_seed(5)
    moved = [
        teacher
        if teacher.logits_BK is None
        else dataclasses.replace(teacher, logits_BK=teacher.logits_BK + 5 * torch.randn(4, 1, generator=generator))
        for teacher in teachers
    ]
    other = answer(case.built(), student, tuple(moved))
    when = "with a number added to all logits that a teacher says of a sample, which is nothing to a softmax"
    same(answer(method, student, teachers).terms, other.terms, when)


def random_state_stays(case: Case) -> None:
    method = case.built()
    student, teachers = example_knowledge(method)
    before = torch.get_rng_state()
    answer(method, student, teachers)
    must(
        torch.equal(torch.get_rng_state(), before), "forward draws from torch's global generator; see kd_core.random.generator"
    )


def resumed(case: Case) -> None:
    method = case.built()
    student, teachers = example_knowledge(method)
    for _ in range(6):
        answer(method, student, teachers)
    again = case.built()
    again.own.load_state_dict(copy.deepcopy(method.own.state_dict()))
    when = "resumed from the state of `self.own` after six steps"
    same(answer(method, student, teachers).terms, answer(again, student, teachers).terms, when)
    same(method.own.state_dict(), again.own.state_dict(), when)


def stays_on_its_device(case: Case) -> None:
    """On the meta device, where a tensor of another device, or a value that is asked for, is an error."""
    method = case.built()
    for module in (method.own, *method.setting.heads, *method.setting.analysers):
        module.to("meta")
    student, teachers = example_knowledge(method)
    move = functools.partial(changed, lambda tensor: tensor.detach().to("meta").requires_grad_(tensor.requires_grad))
    student, teachers = move(student), tuple(map(move, teachers))
    student.head.to("meta")
    batch = batch_of(4, EPOCH)
    parts = (batch.images_BCHW, batch.labels_B, batch.indices_B, batch.views_B)
    images_BCHW, labels_B, indices_B, views_B = (part.to("meta") for part in parts)
    there = Batch(images_BCHW, labels_B, indices_B, views_B, EPOCH)
    loss = answer(method, student, teachers, there)
    total(loss).backward()
    for name, value in [*loss.terms.items(), *loss.curves.items(), ("predict", method.predict(student))]:
        must(value.is_meta, f"`{name}` is computed on another device than its inputs")


METHOD_LAWS: dict[str, Law] = {
    **{
        name: Law(law.statement, functools.partial(lambda check, case: check(case.method), law.check))
        for name, law in KNOB_LAWS.items()
    },
    "needs": Law("what it needs is known from its knobs alone, and can be answered", needs_are_known),
    "terms": Law(
        "its loss has terms, all terms and curves are finite scalars, and curves are detached", terms_are_finite_scalars
    ),
    "gradient": Law("every term has a finite gradient at the student", every_term_moves_the_student),
    "parameters": Law(
        "every trainable parameter of its own gets a gradient, when training begins or later, and is in `self.own`",
        every_parameter_is_trained,
    ),
    "teachers": Law("teachers stay as they are", teachers_stay),
    "inputs": Law("what the student said and the batch stay as they are", inputs_stay),
    "softened": Law("where it takes a softmax of its teachers' logits alone, as it says, no more counts", softened_is_all),
    "same again": Law("asked twice it says the same", same_again),
    "order of teachers": Law("the order of the teachers is nothing", order_of_teachers),
    "order of samples": Law("the order of the samples is nothing", order_of_samples),
    "least at the teacher": Law("what it distils is least where the student is the teacher", least_at_the_teacher),
    "one sample": Law("a batch of one sample is finite", one_sample),
    "needs cover": Law("it uses nothing that it does not need", needs_cover),
    "tokens": Law("it learns from transformers, and as one, but where its `maps` say no", tokens_where_it_takes_them),
    "random state": Law("the global random state is not touched", random_state_stays),
    "resumed": Law("`self.own` holds all that a checkpoint needs", resumed),
    "device": Law("it computes where its tensors are, and never waits for their values", stays_on_its_device),
}
