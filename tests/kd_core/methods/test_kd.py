import pytest
import torch

from kd_core.knowledge import Knowledge
from kd_core.laws.toys import STUDENT, batch_of, make, setting_of
from kd_core.losses import kl_divergence_B

LN2, LN3 = torch.tensor([2.0, 3.0]).log().tolist()
D = 0.75 * LN3 - LN2  # KL((3/4, 1/4) ‖ (1/2, 1/2)) = 3/4·ln(3/2) + 1/4·ln(1/2)


def test_divergence_of_a_sample():
    # at T = 2 the target (2·ln 3, 0) is (3/4, 1/4); T² = 4
    found = kl_divergence_B(torch.tensor([[2 * LN3, 0.0], [5.0, 5.0]]), torch.zeros(2, 2), 2.0)
    torch.testing.assert_close(found, torch.tensor([4 * D, 0.0]))


@pytest.mark.parametrize(("name", "ce", "alpha"), [("kd", 0.1, 0.9), ("aver", 1.0, 1.0)])
def test_weights_and_mean_over_teachers_and_samples(name, ce, alpha):
    # student (0, 0) twice: CE = ln 2. Divergences at T = 4: teacher 0 (16·D, 0), teacher 1 (16·D, 16·D).
    # EpochMeans over samples 8·D and 16·D, over teachers 12·D.
    student = Knowledge(logits_BK=torch.zeros(2, 2))
    sure, unsure = [4 * LN3, 0.0], [0.0, 0.0]
    teachers = (Knowledge(logits_BK=torch.tensor([sure, unsure])), Knowledge(logits_BK=torch.tensor([sure, sure])))
    terms = make(name, setting_of(STUDENT, STUDENT)).forward(student, teachers, batch_of(2), 0.0).terms
    torch.testing.assert_close(terms, {"ce": torch.tensor(ce * LN2), "kl": torch.tensor(alpha * 12 * D)})


def test_plain_training():
    # labels 0 and 1; student (ln 3, 0) is (3/4, 1/4) and (0, 0) is (1/2, 1/2): CE = (ln(4/3) + ln 2) / 2 = (3·ln 2 − ln 3) / 2
    student = Knowledge(logits_BK=torch.tensor([[LN3, 0.0], [0.0, 0.0]]))
    terms = make("none", setting_of()).forward(student, (), batch_of(2), 0.0).terms
    torch.testing.assert_close(terms, {"ce": torch.tensor((3 * LN2 - LN3) / 2)})
