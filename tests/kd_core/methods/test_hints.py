"""Methods with adapters of their own, by hand: the adapters are set to the identity.

BN divides by √(variance + 1e-5), so these values hold to about 1e-5.
"""

import functools
import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from kd_core.knowledge import Knowledge, NetworkShape
from kd_core.laws.toys import batch_of
from kd_core.losses import resized
from kd_core.methods.modules.adapters import BatchNorm
from kd_core.methods.modules.fusion import Fusion
from kd_core.methods.modules.matching import StageMatching
from kd_core.methods.reviewkd import hierarchical_distance
from tests.support.hand import LN2, LN3, D, embedded, mapped, of

close = functools.partial(torch.testing.assert_close, rtol=1e-4, atol=1e-4)


def identity(module: nn.Module) -> None:
    """Every linear map and convolution (its centre) the identity, in evaluation: BN changes nothing."""
    module.eval()
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.eye_(layer.weight)
        if isinstance(layer, nn.Conv2d):
            nn.init.dirac_(layer.weight)


def head(*rows: tuple[float, ...], bias: tuple[float, ...] = (0.0, 0.0)) -> nn.Linear:
    linear = nn.Linear(2, 2).requires_grad_(False)
    linear.weight.copy_(torch.tensor(rows))
    linear.bias.copy_(torch.tensor(bias))
    return linear


def test_fitnet():
    # In training BN makes (−1, 1) of channel 0, (1, 3), and of channel 1, (0, 10). Against teacher 0's (−1, 2) and (−1, 1) one
    # of four numbers is off by 1: ¼; against teacher 1's (−1, 1), (1, 1) one is off by 2: 1. Mean 5/8.
    method = of("fitnet", beta=8.0)
    identity(method.own)
    method.own.train()
    teachers = (mapped([[[-1, 2]], [[-1, 1]]]), mapped([[[-1, 1]], [[1, 1]]]))
    close(method.forward(mapped([[[1, 3]], [[0, 10]]]), teachers, batch_of(1), 0.0).terms["hint"], torch.tensor(5.0))


def test_fitnet_has_no_such_stage():
    with pytest.raises(ValueError, match=r"`stage` must be < 1, the number of the student's stages, but got 1"):
        of("fitnet", stage=1)


def test_batch_norm_of_one_value_is_that_of_evaluation():
    norm = BatchNorm(2)
    assert norm(torch.tensor([[3.0, 5.0]])).isfinite().all()
    assert norm.num_batches_tracked == 0
    assert norm(torch.tensor([[3.0], [5.0]]).expand(2, 2)).mean(0).abs().max() < 1e-6


def test_vid():
    # EpochMeans as the student's features, every one √5 from the teacher's, variance 5: (5/5 + ln 5) / 2.
    method = of("vid", teachers=1, beta=2.0)
    identity(method.own)
    student, teacher = mapped([[[1, 2]], [[3, 4]]]), mapped([[[1, 2]], [[3, 4]]])
    teacher = Knowledge(teacher.logits_BK, (teacher.features[0] + math.sqrt(5),))
    close(method.forward(student, (teacher,), batch_of(1), 0.0).terms["variational"], torch.tensor(1 + math.log(5)))


def test_afd():
    # One stage of the teacher, two of the student. Queries of 0 leave the positions: ln 3 · (1, 0), so α = (3/4, 1/4).
    # Teacher's Q = (3, 4)/5. The student's (1, 0) is 0.4 from it, its (4, 3)/5 is 0.04 (see test_at): 0.31.
    two = NetworkShape(stages=((1, 1, 2), (1, 1, 2)), embedding=1, classes=2)
    one = NetworkShape(stages=((1, 1, 2),), embedding=1, classes=2)
    matching = StageMatching(two, one, 1)
    nn.init.zeros_(matching.queries[0][0].weight)
    matching.position_TQ.data = torch.tensor([[LN3]])
    matching.position_SQ.data = torch.tensor([[1.0], [0.0]])
    maps = [torch.tensor(row).sqrt().view(1, 1, 1, 2) for row in ([3.0, 4.0], [1.0, 0.0], [4.0, 3.0])]
    student, teacher = Knowledge(features=(maps[1], maps[2])), Knowledge(features=(maps[0],))
    close(matching.attention_BTS(student, teacher), torch.tensor([[[0.75, 0.25]]]))
    close(matching(student, teacher), torch.tensor(0.31))


def test_afd_weight_and_mean_over_teachers():
    # The student's only stage gets all attention. Its Q (1, 0) is (0.4, 0.8) from teacher 0's (3, 4)/5: mean square 0.4.
    # Teacher 1 agrees.
    student, root = mapped([[[2, 0]], [[0, 0]]]), math.sqrt(3)
    terms = of("afd", beta=10.0).forward(student, (mapped([[[root, 2]], [[root, 2]]]), student), batch_of(1), 0.0).terms
    close(terms["matching"], torch.tensor(2.0))


def test_afds_bilinear_form_is_normalised_over_batch_and_stages():
    two = NetworkShape(stages=((3, 1, 2), (5, 1, 2)), embedding=1, classes=2)
    torch.manual_seed(0)
    matching = StageMatching(two, two, 4)
    key_BSQ = torch.randn(6, 2, 4)
    asked = matching.bilinear(key_BSQ.flatten(0, 1))  # over 6 · 2 rows, each of 2 teacher's stages · 4
    close(asked.mean(0), torch.zeros(8))
    close(asked.std(0, correction=0), torch.ones(8))


def test_afds_divergence():
    # T = 1: teacher 0 (3/4, 1/4) is D from (1/2, 1/2), teacher 1 is not: 0.9 · D / 2.
    student = mapped([[[2, 0]], [[0, 0]]])
    teachers = (replace(student, logits_BK=torch.tensor([[LN3, 0.0]])), student)
    close(of("afd", temperature=1.0).forward(student, teachers, batch_of(1), 0.0).terms["kl"], torch.tensor(0.45 * D))


def test_reviewkd_distance_at_several_sizes():
    # A 4×4 map that is 4 at one place, against 0. Full: 16/16; pooled to 2×2 one cell is 1: 1/4; pooled to 1×1 it is ¼: 1/16.
    # Weighted 1, ½, ¼: (1 + 1/8 + 1/64) / 1.75.
    peak_BCHW = torch.zeros(1, 1, 4, 4)
    peak_BCHW[0, 0, 1, 2] = 4
    close(hierarchical_distance(peak_BCHW, torch.zeros(1, 1, 4, 4)), torch.tensor((1 + 1 / 8 + 1 / 64) / 1.75))


def test_reviewkd_fuses_with_what_is_deeper():
    # Attention logits 0 and ln 3: shares 1/2 of the stage's 2 and 3/4 of the deeper 4, which is spread over both positions: 4.
    fusion = Fusion(1, 1, 1, deepest=False)
    identity(fusion)
    nn.init.zeros_(fusion.attend.weight)
    fusion.attend.bias.data = torch.tensor([0.0, LN3])
    for_teacher, onwards = fusion(torch.full((1, 1, 1, 2), 2.0), torch.full((1, 1, 1, 1), 4.0))
    close(onwards, torch.full((1, 1, 1, 2), 4.0))
    close(for_teacher, onwards)


def test_reviewkd():
    # The embedding (2, 1) is the deepest stage. The other, (1, 3) and (0, 2), keeps half and adds 3/4 of that: (2, 3) and
    # (0.75, 1.75). Teacher 0 is off by 2 in one of these four numbers, mean square 1, and in one of the embedding's two, 2: 3.
    # Teacher 1 agrees: mean 1.5. Weight 4, in the first of two epochs of warm-up half.
    method = of("reviewkd", beta=4.0, warmup=2)
    identity(method.own)
    for review in method.own.children():
        nn.init.zeros_(review.fusions[0].attend.weight)
        review.fusions[0].attend.bias.data = torch.tensor([0.0, LN3])
    features = mapped([[[2, 5]], [[0.75, 1.75]]]).features, mapped([[[2, 3]], [[0.75, 1.75]]]).features
    teachers = (
        Knowledge(before=features[0], embedding_BD=torch.tensor([[2.0, 3.0]])),
        Knowledge(before=features[1], embedding_BD=torch.tensor([[2.0, 1.0]])),
    )
    terms = method.forward(mapped([[[1, 3]], [[0, 2]]]), teachers, batch_of(1), 0.0).terms
    close(terms, {"ce": torch.tensor(LN2), "review": torch.tensor(3.0)})
    behind = of("reviewkd", beta=4.0, warmup=2, before=False)
    behind.own.load_state_dict(method.own.state_dict())
    behind.own.eval()
    teachers = tuple(Knowledge(features=each.before, embedding_BD=each.embedding_BD) for each in teachers)
    close(behind.forward(mapped([[[1, 3]], [[0, 2]]]), teachers, batch_of(1), 0.0).terms, terms)


def test_reviewkd_warms_up():
    method = of("reviewkd", teachers=1, before=False)
    student, teacher = mapped([[[1, 3]], [[0, 2]]]), mapped([[[2, 3]], [[0, 4]]])
    whole, tenth = (method.forward(student, (teacher,), batch_of(1, epoch), 0.0).terms["review"] for epoch in (19, 1))
    close(tenth, whole / 10)


def test_simkd():
    # The projector is the identity on positive features; pooled (2, 1). Teachers' embeddings (2, 3) and (2, 1): MSE 2 and 0.
    # Heads: the identity says (2, 1), twice it plus (1, 0) says (5, 2): mean (3.5, 1.5).
    heads = (head((1.0, 0.0), (0.0, 1.0)), head((2.0, 0.0), (0.0, 2.0), bias=(1.0, 0.0)))
    method = of("simkd", heads=heads, reduction=1, beta=3.0)
    identity(method.own)
    student = mapped([[[1, 3]], [[0, 2]]])
    terms = method.forward(student, (embedded((2.0, 3.0)), embedded((2.0, 1.0))), batch_of(1), 0.0).terms
    close(terms, {"feature": torch.tensor(3.0)})
    close(method.predict(student), torch.tensor([[3.5, 1.5]]))


def last(channels, classifier=None):
    """A network whose last feature map is this."""
    found = mapped(channels)
    return replace(found, last_BCHW=found.features[0], head=classifier)


def norm(**knobs):
    """Expansion and contraction are the identity of the first two channels, and 0 of the rest."""
    method = of("norm", copies=2, **knobs)
    identity(method.own)
    return method


def test_norm():
    # E = (1 3 | 0 2 | 0 0 | 0 0). Two copies of teacher 0's (1 1 | 0 0): the squares are 0 4 | 0 4 | 1 1 | 0 0, mean 10/8; of
    # teacher 1's (1 3 | 0 2): 0 | 0 | 1 9 | 0 4, mean 14/8. N times the mean of both: 3. F' = 2 F, whose means (4, 2) the
    # classifier swaps: (2, 4), at deviation 2.5 (−2.5, 2.5), so for label 0 CE = ln(1 + e⁵).
    student = last([[[1, 3]], [[0, 2]]], head((0.0, 1.0), (1.0, 0.0)))
    teachers = (last([[[1, 1]], [[0, 0]]]), last([[[1, 3]], [[0, 2]]]))
    method = norm(ce=0.5, beta=10.0)
    for progress, factor in ((0.0, 0.1), (10 / 240, 0.5), (0.1, 1.0), (0.75, 0.5), (0.99, 0.1)):
        terms = method.forward(student, teachers, batch_of(1), progress).terms
        close(terms, {"feature": torch.tensor(30.0 * factor), "ce": torch.tensor(0.5 * math.log(1 + math.exp(5)))})
    close(method.predict(student), torch.tensor([[-2.5, 2.5]]))


def test_norm_learns_from_logits_of_the_same_deviation():
    # The teachers' logits (7, 1) and (1, 7) are (2.5, −2.5) and back, the student's (2.5, −2.5): at T = 5 σ(1) and σ(−1).
    student = last([[[1, 3]], [[0, 2]]], head((1.0, 0.0), (0.0, 1.0)))
    teachers = tuple(replace(last([[[1, 1]], [[0, 0]]]), logits_BK=torch.tensor([row])) for row in ([7.0, 1.0], [1.0, 7.0]))
    terms = norm(ce=0.0, alpha=2.0, temperature=5.0).forward(student, teachers, batch_of(1), 0.0).terms
    p = 1 / (1 + math.exp(-1))
    close(terms["kl"], torch.tensor(2.0 * 25 * ((2 * p - 1) * math.log(p / (1 - p))) / 2))
    assert terms.keys() == {"feature", "kl"}


def test_norm_compares_at_the_smaller_size_by_maxima():
    # The teacher's four positions have the maxima (3, 4) in pairs. Against (1 3 | 0 2): 4 1 | 1 0 (its second channel 1 1 1 2).
    student, small = last([[[1, 3]], [[0, 2]]], head((1.0, 0.0), (0.0, 1.0))), last([[[2]], [[1]]])
    large = last([[[1, 3, 4, 0]], [[1, 1, 1, 2]]])
    method = norm(beta=1.0, factors=(1.0,), boundaries=())
    first = 4 + 1 + 1 + 0 + 9 + 16 + 1 + 4
    close(method.forward(student, (large, large), batch_of(1), 0.0).terms["feature"], torch.tensor(2 * first / 8))
    # and the student's maxima (3 | 2 | 0 | 0) against the teacher's one position
    close(method.forward(student, (small, small), batch_of(1), 0.0).terms["feature"], torch.tensor(2 * (1 + 1 + 4 + 1) / 4))


def test_norm_predicts_what_its_parts_say_merged_into_the_classifier():
    """At evaluation: one linear map of the embedding, whatever the map."""
    torch.manual_seed(0)
    method = of("norm", teachers=2, copies=3)
    student = last([[[1.0, 3.0]], [[0.0, 2.0]]], nn.Linear(2, 2))
    for _ in range(20):  # running statistics that are not the identity's
        method.forward(last([[[1.0, 3.0]], [[0.5, 2.0]]], student.head), (last([[[1, 1]], [[0, 0]]]),) * 2, batch_of(1), 0.0)
    method.own.eval()
    _, moved_BD = method._transformed(student.last_BCHW)
    close(method.predict(student), method._scaled(student.head(moved_BD)))


def test_a_prediction_without_gradients_leaves_running_statistics_alone():
    method = of("norm", copies=2)
    student = last([[[1, 3]], [[0, 2]]], nn.Linear(2, 2))
    before = {name: value.clone() for name, value in method.own.state_dict().items()}
    with torch.no_grad():
        said_BK = method.predict(student)
    close(dict(method.own.state_dict()), before)
    close(method.predict(student), said_BK)
    assert not torch.equal(method.own.state_dict()["teacher0.expand.1.running_mean"], before["teacher0.expand.1.running_mean"])


@pytest.mark.parametrize(
    ("knobs", "said"),
    [
        ({"ce": 0.0}, "`ce` and `alpha` are both 0"),
        ({"factors": (1.0, 2.0)}, r"`factors` must hold one more value than `boundaries` \(4\), but got 2"),
        ({"boundaries": (0.5, 0.5, 0.6, 0.7)}, "`boundaries` must rise"),
    ],
)
def test_norm_refuses(knobs, said):
    with pytest.raises(ValueError, match=said):
        of("norm", **knobs)


@pytest.mark.parametrize(("reference", "scale"), [(False, 1.0), (True, 0.5)])
@pytest.mark.parametrize("hint", ["feature", "embedding"])
def test_ca_mkd(reference, scale, hint):
    # T = 1, label 0. Teacher 0 says (3/4, 1/4): CE ln(4/3), KL D; teacher 1 (1/2, 1/2): CE ln 2, KL 0. softmax of CE:
    # (4/3, 2) / (10/3) = (0.4, 0.6), so w = (0.6, 0.4), and 0.6 · D. The heads say the same of the adapted (1, 0): v = w.
    # Hints: (1, 0) against (1, 2) is 2, against (0, 0) is ½: 0.6 · 2 + 0.4 · ½ = 1.4.
    # As feature maps at two positions: the second channel of the student is −1 there and the ReLU makes it 0.
    heads = (head((LN3, 0.0), (0.0, 0.0)), head((0.0, 0.0), (0.0, 0.0)))
    method = of("ca_mkd", heads=heads, temperature=1.0, beta=10.0, reference_scale=reference, hint=hint)
    identity(method.own)

    def says(logits_BK, embedding_BD, map_BCHW):
        last = {"last_BCHW": torch.tensor([map_BCHW])} if hint == "feature" else {}
        return Knowledge(torch.tensor([logits_BK]), embedding_BD=torch.tensor([embedding_BD]), **last)

    teachers = (
        says([LN3, 0.0], [1.0, 2.0], [[[1.0, 1.0]], [[2.0, 2.0]]]),
        says([0.0, 0.0], [0.0, 0.0], [[[0.0, 0.0]], [[0.0, 0.0]]]),
    )
    student = says([0.0, 0.0], [1.0, -1.0], [[[1.0, 1.0]], [[-1.0, -1.0]]])
    loss = method.forward(student, teachers, batch_of(1, epoch=1), 0.0)
    close(loss.terms, {"ce": torch.tensor(LN2), "kl": torch.tensor(scale * 0.6 * D), "hint": torch.tensor(scale * 14.0)})
    close(loss.curves["weight/teacher0"], torch.tensor(0.6))
    close(loss.curves["hint_weight/teacher1"], torch.tensor(0.4))
    first = method.forward(student, teachers, batch_of(1, epoch=0), 0.0).terms
    close(first, loss.terms | {"hint": torch.tensor(0.0)})


def test_the_weights_of_ca_mkds_hints_carry_gradient():
    # One position, the identity: Σ v_t h_t with v from softmax of the heads' cross-entropies of r(F). Against autograd by hand:
    method = of("ca_mkd", heads=(head((LN3, 0.0), (0.0, 0.0)), head((0.0, 0.0), (0.0, 0.0))), beta=1.0, hint="embedding")
    identity(method.own)
    student_BD = torch.tensor([[1.0, 0.5]], requires_grad=True)
    teachers = tuple(Knowledge(torch.zeros(1, 2), embedding_BD=torch.tensor([row])) for row in ([1.0, 2.0], [0.0, 0.0]))
    student = Knowledge(torch.zeros(1, 2), embedding_BD=student_BD)
    method.forward(student, teachers, batch_of(1, epoch=1), 0.0).terms["hint"].backward()
    x, y = student_BD.detach()[0]
    losses = torch.log1p(torch.exp(-LN3 * x)), torch.tensor(LN2)
    share = torch.sigmoid(losses[0] - losses[1])  # of teacher 0 in the softmax; v = (1 − share, share)
    hints = ((x - 1) ** 2 + (y - 2) ** 2) / 2, (x**2 + y**2) / 2
    slope = share * (1 - share) * -LN3 * torch.sigmoid(-LN3 * x)
    close(student_BD.grad[0, 0], (1 - share) * (x - 1) + share * x + slope * (hints[1] - hints[0]))


def test_a_map_is_brought_to_the_teachers_size():
    # Halved by averaging, doubled bilinearly.
    ones = torch.arange(4.0).view(1, 1, 2, 2)
    close(resized(ones, (1, 1)), torch.tensor([[[[1.5]]]]))
    assert resized(ones, (4, 4)).shape == (1, 1, 4, 4)
    close(resized(ones, (4, 4)).mean(), torch.tensor(1.5))
