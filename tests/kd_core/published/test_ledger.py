"""The ledger of published numbers: every row names what there is, once, with its source."""

from __future__ import annotations

import subprocess
import sys

import pytest

from kd_core.data.table import DATASETS
from kd_core.methods.table import METHODS
from kd_core.models.table import MODELS, check_name
from kd_core.published.ledger import PARTS, PROTOCOLS, ledger, method_key


def test_every_row_names_what_there_is():
    assert len(ledger()) > 300
    for row in ledger():
        name, *bases = row.method.split("/")
        assert row.dataset in DATASETS
        assert row.student in MODELS
        assert row.teacher in MODELS or row.teacher == ""
        assert (row.teacher == "") == (row.method == "none")
        assert name in METHODS
        assert row.protocol in PROTOCOLS
        assert 0 < row.top1 < 100
        assert "20" in row.source, "a source has a year"
        METHODS[name].Config(**dict(zip(PARTS, bases, strict=False)))


def test_no_row_is_there_twice():
    seen = [(row.dataset, row.teacher, row.student, row.method, row.protocol) for row in ledger()]
    assert len(seen) == len(set(seen))


def test_numbers_that_everybody_quotes():
    by_name = {(row.teacher, row.student, row.method): row.top1 for row in ledger()}
    assert by_name["", "resnet8x4", "none"] == 72.50
    assert by_name["resnet32x4", "resnet8x4", "kd"] == 73.33
    assert by_name["resnet32x4", "resnet8x4", "dkd"] == 76.32
    assert by_name["wrn_40_2", "wrn_16_2", "crd"] == 75.48
    assert by_name["resnet32x4", "resnet8x4", "sp"] == 72.94
    assert by_name["resnet32x4", "shufflenet_v1", "ab"] == 73.55
    assert by_name["wrn_40_2", "wrn_16_2", "mgd/kd/stable"] == 75.35
    assert by_name["resnet32x4", "resnet8x4", "mgd/crd/granularity"] == 75.89


@pytest.mark.parametrize("name", PROTOCOLS)
def test_knobs_of_a_pair_are_knobs_of_the_method(name):
    protocol = PROTOCOLS[name]
    for method, knobs in protocol.common.items():
        METHODS[method].Config(**knobs)
    for (method, teacher, student), knobs in protocol.knobs.items():
        kind, *bases = method.split("/")
        METHODS[kind].Config(**dict(zip(PARTS, bases, strict=False)), **knobs)
        assert check_name(teacher) is None
        assert check_name(student) is None
        assert protocol.knobs_of(method, teacher, student) == {**protocol.common.get(method, {}), **knobs}


def test_small_networks_are_trained_with_a_fifth_of_the_rate():
    recipe = PROTOCOLS["repdistiller"].recipe
    assert [recipe(name).lr for name in ("resnet8x4", "vgg8", "mobilenet_v2_x0_5", "shufflenet_v1")] == [0.05, 0.05, 0.01, 0.01]
    assert recipe("vgg8").steps == (150, 180, 210)


def test_what_differs_between_the_protocols():
    alone, several = PROTOCOLS["repdistiller"], PROTOCOLS["mtkd"]
    assert (several.recipe("vgg8").nesterov, several.teacher("resnet32x4").nesterov) == (True, False)
    for same in ("mdistiller", "mgd"):
        assert PROTOCOLS[same].recipe("shufflenet_v1") == alone.recipe("shufflenet_v1")
        assert PROTOCOLS[same].knobs_of("dkd", "vgg13", "vgg8") == {"beta": 6.0}
    assert alone.knobs_of("reviewkd", "resnet56", "resnet20") == {"beta": 0.6}
    assert alone.knobs_of("cat_kd", "resnet32x4", "shufflenet_v1") == {"beta": 600.0, "resolution": 4, "normalise": True}
    assert alone.knobs_of("reviewkd", "vgg13", "vgg8") is None
    assert [alone.student("vgg8", method).steps for method in ("at", "ft")] == [(150, 180, 210), (180, 210, 240)]
    assert alone.knobs_of("ft", "vgg13", "vgg8") == {"beta": 200.0, "factor": "map"}
    photographs = PROTOCOLS["imagenet"]
    assert photographs.recipe("torchvision:resnet18").steps == (30, 60, 90)
    assert photographs.data("imagenet").drawn
    pair = ("torchvision:resnet34", "torchvision:resnet18")
    assert photographs.knobs_of("dkd", *pair) == {"temperature": 1.0, "warmup": 1, "beta": 0.5}
    assert photographs.knobs_of("dkd", *reversed(pair)) is None
    assert photographs.knobs_of("kd", *pair) == {"ce": 0.5, "alpha": 0.5, "temperature": 1.0}


def test_methods_over_others_are_called_by_their_base():
    assert method_key("kd", {"alpha": 0.9}) == "kd"
    assert method_key("logit_std", {"base": "dkd", "knobs": {}}) == "logit_std/dkd"
    assert method_key("mgd", {"base": "at", "scheme": "stable"}) == "mgd/at/stable"


def test_it_is_read_without_torch():
    code = "import sys; from kd_core.published.ledger import ledger; ledger(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
