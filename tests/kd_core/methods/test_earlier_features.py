"""Methods of 2017 to 2020 that compare feature maps and that MGD's source takes as bases, by hand."""

import dataclasses
import math

import pytest
import torch
from torch import nn

from kd_core.knowledge import Knowledge, NetworkShape
from kd_core.laws.toys import WIDER, batch_of, knowledge_of, made, setting_of
from kd_core.methods.ab import crossing
from kd_core.methods.afds import channel_distance_BC, shares_BC
from kd_core.methods.fsp import flow_BCD
from kd_core.methods.ft import compared
from kd_core.methods.kdsvd import aligned, right_vectors
from kd_core.methods.table import METHODS
from tests.support.hand import mapped, of

close = torch.testing.assert_close
TWO = NetworkShape(stages=((2, 1, 2), (2, 1, 1)), embedding=2, classes=2)  # two positions, then one
EARLY, LATE = 0.0, 0.5


def maps(*stages):
    """Stages of one sample, each channels × height × width; before their activation they are the same."""
    features = tuple(torch.tensor([stage], dtype=torch.float) for stage in stages)
    return Knowledge(torch.zeros(1, 2), features, torch.zeros(1, 2), before=features)


def test_the_flow_between_two_stages():
    # Pooled to one position the shallow stage is (2, 3): products with (1, 4).
    shallow, deep = torch.tensor([[[[1.0, 3]], [[2, 4]]]]), torch.tensor([[[[1.0]], [[4]]]])
    close(flow_BCD(shallow, deep), torch.tensor([[[2.0, 8], [3, 12]]]))
    # At two positions of one size the mean of the products: (1·1 + 3·0)/2 and (2·1 + 4·0)/2.
    close(flow_BCD(shallow, torch.tensor([[[[1.0, 0]]]])), torch.tensor([[[0.5], [1.0]]]))


def test_fsp_learns_the_flow_first_and_then_labels():
    method = of("fsp", shape=TWO, beta=8.0)
    student, one = maps([[[1, 3]], [[2, 4]]], [[[1]], [[4]]]), maps([[[1, 3]], [[2, 4]]], [[[3]], [[4]]])
    # Against `one` two of four numbers are off, by 4 and 6: (16 + 36)/4 = 13; against itself nothing. 8 · 13/2.
    assert {name: term.item() for name, term in first(method, student, (one, student)).items()} == {"flow": 52.0}
    assert method.forward(student, (one, student), batch_of(1), LATE).terms.keys() == {"ce"}


def first(method, student, teachers):
    return method.forward(student, teachers, batch_of(1), EARLY).terms


def test_neurons_are_to_be_a_margin_beyond_the_teachers_side():
    # Off at (−2, 0): (−2) is far enough, 0 is 1 short. On at (2, 0.5): enough, and ½ short. At the boundary itself it is off.
    student, teacher = torch.tensor([-2.0, 0, 2, 0.5, -1]), torch.tensor([-1.0, -3, 0.1, 5, 0])
    close(crossing(student, teacher, 1.0), torch.tensor([0, 1, 0, 0.25, 0]))


def test_ab_counts_the_deepest_stage_twice_as_much():
    method = of("ab", shape=TWO, teachers=1, beta=1000.0)
    off, on = maps([[[-1, -1]], [[-1, -1]]], [[[-1]], [[-1]]]), maps([[[1, -1]], [[-1, -1]]], [[[1]], [[-1]]])
    # One neuron of each stage is to fire, and is 2 away: 4 · 3/1000 · (½ + 1).
    close(first(method, off, (on,))["boundaries"], torch.tensor(18.0))
    assert method.forward(off, (on,), batch_of(1), LATE).terms.keys() == {"ce"}


def test_ab_is_told_what_the_student_says_before_its_activation():
    method = of("ab", shape=TWO, teachers=1)
    student = dataclasses.replace(
        maps([[[1, 1]], [[1, 1]]], [[[1]], [[1]]]), before=maps([[[-2, -2]], [[-2, -2]]], [[[-2]], [[-2]]]).features
    )
    assert first(method, student, (student,))["boundaries"] == 0  # by what is before, where no neuron fires


def test_factors_are_compared_whole_or_as_maps():
    factor = torch.tensor([[[[3.0, 0]], [[0, 4]]]])  # two channels at two positions
    close(compared(factor, "whole"), torch.tensor([[0.6, 0, 0, 0.8]]))
    squares = torch.tensor([4.5, 8.0])
    close(compared(factor, "map"), (squares / squares.norm())[None])


def test_ft():
    method = of("ft", rate=1.0, beta=10.0, init=0.5, paraphrase=0.2)
    for module in (*method.paraphrasers.modules(), *method.translators.modules()):
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)
            module.weight.data[(0, 1), (0, 1), 1, 1] = 1  # each channel itself
    method.translators.eval()
    teachers = (mapped([[[3, 0]], [[0, 4]]]), mapped([[[4, 0]], [[0, 3]]]))
    student = mapped([[[3, 0]], [[0, 4]]])
    # Nothing to reconstruct: numbers ≥ 0 pass leaky ReLUs. Of teacher 1, 0.6 and 0.8 are 0.2 away, of four numbers: 0.1.
    close(method.forward(student, teachers, batch_of(1), 0.4).terms, {"reconstruction": torch.tensor(0.0)})
    close(method.forward(student, teachers, batch_of(1), 0.5).terms["factor"], torch.tensor(10 * 0.1 / 2), rtol=1e-4, atol=1e-4)
    # A negative number comes out as a sixth power of the slope: 1e-6 · (−8), so that (8)² of four numbers is lost.
    lost = method.forward(student, (mapped([[[-8, 0]], [[0, 0]]]), student), batch_of(1), 0.0).terms["reconstruction"]
    close(lost, torch.tensor(0.2 * 16 / 2), rtol=1e-4, atol=1e-4)


def test_a_paraphraser_learns_first_and_stays_then():
    method = of("ft", teachers=1)
    teacher, student = mapped([[[3, 0]], [[0, 4]]]), mapped([[[1, 2]], [[2, 0]]])
    sum(method.forward(student, (teacher,), batch_of(1), 0.0).terms.values()).backward()
    assert all(each.grad is not None for each in method.paraphrasers.parameters())
    assert all(each.grad is None for each in method.translators.parameters())
    method.own.zero_grad()
    sum(method.forward(student, (teacher,), batch_of(1), 0.5).terms.values()).backward()
    assert all(each.grad is None for each in method.paraphrasers.parameters())
    assert all(each.grad is not None for each in method.translators.parameters())


def test_channels_share_the_attention():
    close(shares_BC(torch.tensor([[0.0, math.log(3)]]), "softmax"), torch.tensor([[0.25, 0.75]]))
    close(shares_BC(torch.tensor([[0.0, math.log(3)]]), "sigmoid"), torch.tensor([[0.4, 0.6]]))  # of ½ and ¾


def test_channels_are_compared_by_their_shape():
    student, teacher = torch.tensor([[[[1.0, 0]], [[2, 2]]]]), torch.tensor([[[[0.0, 5]], [[7, 7]]]])
    close(channel_distance_BC(student, teacher), torch.tensor([[1.0, 0.0]]))


def test_afds():
    method = of("afds", beta=8.0)
    for attend in method.attentions.children():
        nn.init.zeros_(attend[0][2].weight)  # so that all channels count alike
    student, teacher = mapped([[[1, 0]], [[2, 2]]]), mapped([[[0, 5]], [[7, 7]]])
    close(method.forward(student, (teacher, student), batch_of(1), 0.5).terms["features"], torch.tensor(8 * 0.5 / 2))


def test_singular_vectors_are_those_of_torch():
    features = torch.randn(3, 5, 4, 4, generator=torch.Generator().manual_seed(0))
    vectors, values = right_vectors(features, 2)
    _, expected_values, rows = torch.linalg.svd(features.flatten(2).transpose(1, 2), full_matrices=False)
    close(values, expected_values[:, :2])
    close((vectors * rows.transpose(1, 2)[:, :, :2]).sum(1).abs(), torch.ones(3, 2))


def test_the_gradient_of_a_singular_vector_is_that_of_differences():
    features = torch.randn(1, 4, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    to = torch.randn(4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    side = right_vectors(features, 2)[0]

    def projected(values):
        return (aligned(right_vectors(values, 2)[0], side) * to).sum()

    torch.autograd.gradcheck(lambda values: projected(values), features.requires_grad_())


def test_silent_channels_leave_the_gradient_finite():
    features = torch.zeros(2, 4, 2, 2)
    features[:, 0] = torch.rand(2, 2, 2, generator=torch.Generator().manual_seed(3))
    features.requires_grad_()
    right_vectors(features, 4)[0].sum().backward()
    assert features.grad.isfinite().all()


def test_a_students_vector_is_looked_for_among_more_and_turned():
    first_, second = [1.0, 0.0, 0.0], [0.0, 0.6, 0.8]
    student = torch.tensor([[second, [-value for value in first_]]]).transpose(1, 2)
    close(aligned(student, torch.tensor([[first_]]).transpose(1, 2)), torch.tensor([[first_]]).transpose(1, 2))


def test_kdsvd():
    method = of("kdsvd", shape=TWO, teachers=1, beta=5.0)
    # Vectors (1, 0) and (1, 0) of the student's stages, which are most like (1, 0) and (0.8, 0.6) of the teacher's.
    student, teacher = maps([[[2, 2]], [[0, 0]]], [[[3]], [[0]]]), maps([[[1, 1]], [[0, 0]]], [[[4]], [[3]]])
    own, target = ([0, 1, 1, 0], [0.04, 0.64, 0.16, 0.36])  # squares of what a number of the second is off one of the first
    off = sum((math.exp(-one / 8) - math.exp(-other / 8)) ** 2 for one, other in zip(own, target, strict=True))
    close(correlated(method, student, teacher), torch.tensor(5 * off))
    assert correlated(method, student, student) == 0


def correlated(method, student, teacher):
    return method.forward(student, (teacher,), batch_of(1), LATE).terms["correlation"]


@pytest.mark.parametrize("name", ["fsp", "kdsvd"])
def test_a_student_of_one_stage_has_no_neighbours(name):
    with pytest.raises(ValueError, match=f"`{name}` compares neighbouring stages, of which a student of one stage has none"):
        of(name)


def test_a_method_over_one_that_listens_no_more_listens_for_itself():
    def listens(**knobs):
        method = made(METHODS["mgd"], setting_of(WIDER), base="ab", **knobs)
        return [method.listens(progress) for progress in (EARLY, LATE)]

    assert listens() == listens(gamma=0) == listens(div=0) == [True, True]
    assert listens(gamma=0, div=0) == [True, False]


@pytest.mark.parametrize("name", ["fsp", "ab"])
def test_what_comes_first_is_a_share_of_the_training(name):
    method = of(name, shape=TWO, teachers=1)
    student = knowledge_of(TWO, 0, 1)
    began = [epoch for epoch in range(270) if "ce" not in method.forward(student, (student,), batch_of(1), epoch / 270).terms]
    assert began == list(range(30))
