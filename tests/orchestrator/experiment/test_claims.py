"""The section of claims: how it is written, what is refused, and that no key knows of it."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest

from orchestrator.experiment.load import load
from orchestrator.experiment.schema import schema
from orchestrator.experiment.spec import Claim
from orchestrator.experiment.yaml_lines import read_file
from orchestrator.planning.plan import make
from tests.support.wrong_files import STUDENTS, Wrong, check

HEAD = (
    STUDENTS.replace("models: resnet20", "models: [resnet20, wrn_16_2]")
    + "    [none, kd: {temperature: [2, 4], label: soft}, kd: {teachers: each, label: single}, gpac]\n"  # line 7
)
NOISE = "evaluations: {robustness: {strengths: [0.05, 0.1]}, calibration: }\n"  # line 8


@pytest.fixture
def spec(tmp_path: Path):
    def read(section: str, *overrides: str):
        file = tmp_path / "x.yaml"
        file.write_text(HEAD + NOISE + section)
        jsonschema.validate(read_file(str(file)).data, schema())
        return load(file, overrides)

    return read


def test_the_ways_to_write_it(spec):
    found = spec(
        "claims:\n"
        "  - {claim: GPAC helps, better: gpac, than: none}\n"
        "  - {better: soft(temperature=2), than: gpac, by: robustness.accuracy@0.05}\n"
        "  - {better: single ← resnet20-s0, than: none, by: calibration.ece}\n"
    )
    assert found.claims == (
        Claim("GPAC helps", "gpac", "none", "test"),
        Claim("soft(temperature=2) beats gpac", "soft(temperature=2)", "gpac", "robustness.accuracy@0.05"),
        Claim("single ← resnet20-s0 beats none", "single ← resnet20-s0", "none", "calibration.ece"),
    )
    assert spec("").claims == spec("claims: []\n").claims == ()
    assert make(found).claims == found.claims


def test_a_name_that_only_one_method_bears_is_enough(spec):
    [claim] = spec("claims: [{better: single, than: none}]\n", "students.methods.2.kd.teachers=resnet20-s0").claims
    assert claim == Claim("single ← resnet20-s0 beats none", "single ← resnet20-s0", "none", "test")


def test_no_key_knows_of_claims(spec):
    without, with_them = make(spec("")), make(spec("claims: [{better: gpac, than: none, by: calibration.nll}]\n"))
    assert with_them.claims
    assert list(without.jobs) == list(with_them.jobs)


CLAIMS = HEAD + NOISE + "claims:\n"  # to line 9
WRONG: Wrong = {
    "unknown names": (
        CLAIMS + "  - {better: gpack, than: none}\n  - better: gpac\n    than: zebra\n    by: robustness.accuracy@0.2\n",
        [
            ":10: claims[0].better: no method of the students is called 'gpack'; did you mean 'gpac'?",
            ":12: claims[1].than: no method of the students is called 'zebra' (there are: none, soft(temperature=2), soft(",
            ":13: claims[1].by: no number 'robustness.accuracy@0.2' is measured; did you mean 'robustness.accuracy@0.",
        ],
    ),
    "an evaluation that is not asked for": (
        HEAD + "claims:\n  - {better: gpac, than: none, by: ece}\n",
        [":9: claims[0].by: no number 'ece' is measured (there are: test)"],
    ),
    "a name of several": (
        CLAIMS + "  - {better: soft, than: none}\n",
        [":10: claims[0].better: 'soft' may be 'soft(temperature=2)', 'soft(temperature=4)': write one of these"],
    ),
    "missing, misspelt and empty": (
        CLAIMS + "  - {better: gpac, then: none}\n  - {better: gpac, than: ''}\n",
        [
            ":10: claims[0].than: is missing",
            ":10: claims[0].then: no such field; did you mean 'than'?",
            ":11: claims[1].than: must not be empty",
        ],
    ),
    "itself": (CLAIMS + "  - {better: gpac, than: gpac}\n", [":10: claims[0].than: is 'gpac' itself"]),
    "twice": (
        CLAIMS + "  - {better: gpac, than: none}\n  - {claim: again, better: gpac, than: none, by: test}\n",
        [":11: claims[1]: compares the same as claims[0] (FILE:10)"],
    ),
    "no list": (CLAIMS + "  better: gpac\n  than: none\n", [":9: claims: must be a list, but got a section"]),
    "nothing in common": (
        "name: x\ndata: {name: digits}\nteachers: {models: resnet20}\nstudents:\n"
        "  - {models: resnet8, methods: none}\n  - {models: resnet8, seeds: 1, methods: kd}\n"
        "  - {models: resnet14, methods: gpac}\n"
        "claims:\n  - {better: kd, than: none}\n  - {better: gpac, than: none}\n",
        [
            ":9: claims[0]: 'kd' and 'none' share no student model, recipe and seed",
            ":10: claims[1]: 'gpac' and 'none' share no student model, recipe and seed",
        ],
    ),
}


@pytest.mark.parametrize(("text", "expected"), WRONG.values(), ids=WRONG)
def test_wrong(text, expected, tmp_path):
    check(text, expected, tmp_path)
