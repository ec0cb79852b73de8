"""MGD by hand: two samples, two classes, embeddings of two numbers, and networks of identities."""

import pytest
import torch

from kd_core.knowledge import Knowledge, Need
from kd_core.laws.methods import seen
from kd_core.laws.toys import STUDENT, WIDER, as_needed, batch_of, knowledge_of, make, setting_of
from kd_core.losses import kl_divergence
from kd_core.methods.at import AT
from kd_core.methods.gpac import GPAC
from kd_core.methods.mgd import BASES, MGD
from kd_core.methods.modules.analyser import Analyser
from kd_core.methods.modules.analysis_config import AnalysisConfig
from kd_core.methods.setting import Setting
from kd_core.methods.table import METHODS
from tests.support.hand import LN2, LN3, PAIR, D


def identities(module, scale=1.0):
    """Every linear layer of a perceptron becomes the identity, the last one times ``scale``."""
    for layer in module:
        if isinstance(layer, torch.nn.Linear):
            torch.nn.init.eye_(layer.weight)
            torch.nn.init.zeros_(layer.bias)
    module[-1].weight.data *= scale


def method_of(**knobs) -> MGD:
    """Codes: h at T = 1, and 2 h at T = 2; decoded from them: the code itself. The student's encoders are identities."""
    config = AnalysisConfig(codes=(2, 2), temperatures=(1.0, 2.0))
    analysers = []
    for _ in range(2):
        analyser = Analyser(config, 2, 2).requires_grad_(False)
        for encode, decode, scale in zip(analyser.encode.granularities, analyser.decoders, (1.0, 2.0), strict=True):
            identities(encode, scale)
            identities(decode)
        analysers.append(analyser)
    method = MGD(MGD.Config(**knobs), Setting(PAIR, (PAIR, PAIR), torch.tensor([0, 1]), analysers=tuple(analysers)))
    for encoders in method.encoders.children():
        for encode in encoders.granularities:
            identities(encode)
    return method


STUDENT_SAYS = Knowledge(torch.zeros(2, 2, requires_grad=True), embedding_BD=torch.zeros(2, 2, requires_grad=True))
FLAT = Knowledge(torch.zeros(2, 2), embedding_BD=torch.zeros(2, 2))  # a teacher that says and knows nothing


def teacher_of(logit: float) -> Knowledge:
    return Knowledge(torch.tensor([[logit, 0.0], [0.0, 0.0]]), embedding_BD=torch.tensor([[LN3, 0.0], [0.0, 0.0]]))


def of_kd(divergence: float) -> dict[str, torch.Tensor]:
    """Student's codes are 0: (1/2, 1/2). Teacher 0's of sample 0 are (ln 3, 0) at T = 1 and (2 ln 3, 0) at T = 2, both
    (3/4, 1/4): D, and 4 · D with T². All else agrees: over two samples and two teachers a quarter. CE = ln 2, weight 0.2."""
    terms = {"ce": 0.2 * LN2, "kl": divergence, "granularity0": D / 4, "granularity1": D}
    return {name: torch.tensor(value) for name, value in terms.items()}


def test_granularity():
    # z_T of sample 0 (4 ln 3, 0): at T = 4 it is (3/4, 1/4), 16 · D; a quarter is 4 · D, weight 0.8
    found = method_of().forward(STUDENT_SAYS, (teacher_of(4 * LN3), FLAT), batch_of(2), 0.0).terms
    torch.testing.assert_close(found, of_kd(0.8 * 4 * D))


def test_stable():
    # decoded are (ln 3, 0) and (2 ln 3, 0): with z_T = (9 ln 3, 0) the mean is (4 ln 3, 0), and the rest as above
    teachers = (teacher_of(9 * LN3), FLAT)
    found = method_of(scheme="stable").forward(STUDENT_SAYS, teachers, batch_of(2), 0.0).terms
    torch.testing.assert_close(found, of_kd(0.8 * 4 * D))
    # the student is pulled towards the mean: 0.8 · T² · ½ · ½ · (σ(z_s / T) − σ(z' / T)) / T = 0.8 · (−1/4, 1/4) on sample 0
    [gradient] = torch.autograd.grad(found["kl"], STUDENT_SAYS.logits_BK)
    torch.testing.assert_close(gradient, torch.tensor([[-0.2, 0.2], [0.0, 0.0]]))


def test_weights():
    teachers = (teacher_of(4 * LN3), FLAT)
    method = method_of(div=2.0, gamma=3.0, knobs={"ce": 0.5})
    found = method.forward(STUDENT_SAYS, teachers, batch_of(2), 0.0).terms
    expected = {"ce": 0.5 * LN2, "kl": 8 * D, "granularity0": 0.75 * D, "granularity1": 3 * D}
    torch.testing.assert_close(found, {name: torch.tensor(value) for name, value in expected.items()})


@pytest.mark.parametrize("base", [name for name in BASES if name != "kd"])
def test_the_terms_and_curves_of_a_base_stay_as_they_are(base):
    setting = setting_of(WIDER, STUDENT)
    wrapped = make("mgd", setting, base=base)
    teachers, student = (seen(wrapped, WIDER, 1), seen(wrapped, STUDENT, 2)), seen(wrapped, STUDENT, 0)
    alone = make(base, setting, **MGD.Config.presets.get(base, {}))
    wrapped.base.own.load_state_dict(alone.own.state_dict())
    found = wrapped.forward(student, teachers, batch_of(), 0.5)
    expected = alone.forward(student, teachers, batch_of(), 0.5)
    kept = {"base_kl" if name == "kl" else name: term for name, term in expected.terms.items()}  # its own has that name
    assert found.terms.keys() - kept.keys() == {"kl", "granularity0", "granularity1"}
    torch.testing.assert_close({name: found.terms[name] for name in kept}, kept)
    torch.testing.assert_close(found.curves, expected.curves)


def test_a_student_may_learn_some_of_the_granularities():
    """What is left out changes nothing of what is left; stable excitation leaves it out too."""
    setting, student = setting_of(WIDER), knowledge_of(STUDENT, 0)
    teachers = (knowledge_of(WIDER, 1),)
    both = make("mgd", setting, scheme="stable")
    one = make("mgd", setting, scheme="stable", granularities=(1,))
    state = {name: value for name, value in both.encoders.state_dict().items() if ".granularities.1." in name}
    one.encoders.load_state_dict({name.replace("granularities.1.", "granularities.0."): value for name, value in state.items()})
    found = one.forward(student, teachers, batch_of(), 0.0).terms
    expected = both.forward(student, teachers, batch_of(), 0.0).terms
    assert found.keys() == {"ce", "kl", "granularity1"}
    torch.testing.assert_close(found["granularity1"], expected["granularity1"])
    [analyser] = setting.analysers
    decoded = analyser(teachers[0].embedding_BD)[1][1]
    target_BK = (teachers[0].logits_BK + decoded) / 2
    torch.testing.assert_close(found["kl"], 0.8 * kl_divergence(target_BK, student.logits_BK, 4.0))


def test_granularities_that_there_are_not():
    with pytest.raises(ValueError, match=r"`granularities` must name some, in rising order, but got \[1, 0\]"):
        MGD.Config(granularities=(1, 0))
    with pytest.raises(ValueError, match=r"`granularities` must be < 2, the number of the analysis' codes, but got \[2\]"):
        make("mgd", setting_of(WIDER), granularities=(2,))


def test_without_codes_it_is_the_base_and_a_kd_term():
    setting, student = setting_of(WIDER), knowledge_of(STUDENT, 0)
    teachers = (knowledge_of(WIDER, 1),)
    control = make("mgd", setting, base="at", gamma=0.0)
    found = control.forward(student, (as_needed(teachers[0], control.needs(control.config)),), batch_of(), 0.0).terms
    of_at = make("at", setting).forward(student, teachers, batch_of(), 0.0).terms
    of_kd = make("kd", setting, alpha=1.0).forward(student, teachers, batch_of(), 0.0).terms
    torch.testing.assert_close(found, of_at | {"kl": of_kd["kl"]})


@pytest.mark.parametrize(
    ("knobs", "needs"),
    [
        ({}, {Need.LOGITS, Need.EMBEDDING, Need.ANALYSES}),
        ({"base": "at"}, {Need.LOGITS, Need.EMBEDDING, Need.ANALYSES, Need.ATTENTION}),
        ({"base": "gpac", "div": 0.0}, {*GPAC.needs(GPAC.Config()), Need.EMBEDDING, Need.ANALYSES}),
        ({"div": 0.0}, {Need.EMBEDDING, Need.ANALYSES}),
        ({"gamma": 0.0}, {Need.LOGITS}),
        ({"gamma": 0.0, "scheme": "stable"}, {Need.LOGITS, Need.EMBEDDING, Need.ANALYSES}),
        ({"gamma": 0.0, "div": 0.0}, set()),
    ],
)
def test_what_is_off_needs_nothing(knobs, needs):
    assert MGD.needs(MGD.Config(**knobs)) == needs


def test_config():
    assert [MGD.Config(base=base).weight for base in ("kd", "at", "gpac")] == [0.8, 1.0, 1.0]
    assert MGD.Config(base="at", knobs={"beta": 10}).inner == AT.Config(beta=10.0)
    with pytest.raises(ValueError, match="`scheme` stable changes what `div` weighs, which must be > 0, but got 0"):
        MGD.Config(scheme="stable", div=0.0)


def test_bases_are_the_methods_of_one_teacher_and_gpac():
    several = {"aver", "ebkd", "aekd", "ca_mkd", "mmkd", "mtkd_rl"}
    assert METHODS.keys() - BASES.keys() == {"none", "simkd", "norm", "logit_std", "mgd"} | several
