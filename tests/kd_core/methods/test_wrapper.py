import dataclasses
import math

import pytest

from kd_core.methods.dkd import DKD
from kd_core.methods.gpac import GPAC
from kd_core.methods.kd import KD
from kd_core.methods.logit_std import LogitStd


def test_the_base_is_written_out_with_its_presets():
    assert LogitStd.Config().inner == KD.Config(alpha=9.0, temperature=2.0)
    assert LogitStd.Config(base="dkd", knobs={"beta": 2}).inner == DKD.Config(alpha=9.0, beta=2.0, temperature=2.0)
    assert LogitStd.Config(base="dkd").inner == DKD.Config(alpha=9.0, beta=72.0, temperature=2.0)
    assert LogitStd.Config(knobs={"temperature": 5}).inner == KD.Config(alpha=9.0, temperature=5.0)


def test_made_again_from_its_own_values_it_is_the_same():
    config = LogitStd.Config(base="dkd", knobs={"warmup": 3})
    assert LogitStd.Config(**dataclasses.asdict(config)) == config


@pytest.mark.parametrize(
    ("knobs", "complaint"),
    [
        ({"temprature": 2.0}, r"no knob named `temprature`, did you mean `temperature`\?"),
        ({"temperature": "hot"}, r"`temperature` must be of type float, but got 'hot'"),
        ({"temperature": True}, r"`temperature` must be of type float"),
        ({"temperature": 0}, r"`knobs` of kd: `temperature` must be > 0, but got 0.0"),
        ({"alpha": -1, "ce": -1}, r"`ce` must be .*; `alpha` must be"),
    ],
)
def test_what_the_base_refuses(knobs, complaint):
    with pytest.raises(ValueError, match=complaint):
        LogitStd.Config(knobs=knobs)


def test_an_unknown_base():
    with pytest.raises(ValueError, match="`base` must be one of kd, dkd"):
        LogitStd.Config(base="at")


def test_plain_values_become_what_the_annotations_say():
    config = GPAC.Config.parse({"tau_probe": "inf", "top": None, "levels": [1, 0.5], "boundaries": [0.5], "alpha": 1})
    assert config == GPAC.Config(tau_probe=math.inf, top=None, levels=(1.0, 0.5), boundaries=(0.5,), alpha=1.0)
    assert isinstance(config.alpha, float)
    with pytest.raises(ValueError, match="`top` must be of type"):
        GPAC.Config.parse({"top": 1.5})
