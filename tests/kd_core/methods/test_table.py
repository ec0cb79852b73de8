"""Laws that every method of the table obeys. What is particular to a method is tested in methods/test_<method>.py."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from kd_core.knowledge import Side
from kd_core.laws.law import Broken, Exempt
from kd_core.laws.methods import METHOD_LAWS, Case
from kd_core.methods.table import METHODS

VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "cc, reference": ("cc", {"form": "reference"}),
    "dkd, no warm-up": ("dkd", {"warmup": 0}),
    "ca_mkd, reference scale": ("ca_mkd", {"reference_scale": True}),
    "ebkd, reference scale": ("ebkd", {"reference_scale": True}),
    "logit_std of dkd": ("logit_std", {"base": "dkd", "knobs": {"beta": 2}}),
    "logit_std of aekd": ("logit_std", {"base": "aekd"}),
    "logit_std of rld": ("logit_std", {"base": "rld"}),
    "logit_std of ctkd": ("logit_std", {"base": "ctkd"}),
    "ca_mkd, embedding": ("ca_mkd", {"hint": "embedding"}),
    "cat_kd, cat": ("cat_kd", {"ce": 0.0, "beta": 400.0, "normalise": True}),
    "sdd of kd": ("sdd", {"base": "kd", "alpha": 0.9}),
    "wkd_f, in cells": ("wkd_f", {"grid": 2}),
    "ofa, enhanced": ("ofa", {"exponent": 1.5}),
    "mgd of mlld": ("mgd", {"base": "mlld"}),
    "mgd of ofa": ("mgd", {"base": "ofa"}),
    "mgd of sdd": ("mgd", {"base": "sdd"}),
    "gpac, every teacher everywhere": ("gpac", {"top": None, "tau_probe": float("inf")}),
    "gpac, instruction only": ("gpac", {"beta": 0.0}),
    "gpac, attention only": ("gpac", {"alpha": 0.0}),
    "norm, with divergence": ("norm", {"alpha": 1.0}),
    "at, by order": ("at", {"stages": "order"}),
    "vid, by order": ("vid", {"stages": "order"}),
    "nst, by order": ("nst", {"stages": "order"}),
    "ab, its boundaries": ("ab", {"init": 0.9}),
    "fsp, its flow": ("fsp", {"init": 0.9}),
    "ft, of maps": ("ft", {"factor": "map"}),
    "ft, paraphrasers as drawn": ("ft", {"init": 0.0}),
    "afds, softmax": ("afds", {"attention": "softmax"}),
    "kdsvd, two vectors": ("kdsvd", {"vectors": 2}),
    "gpac, predicted class": ("gpac", {"direction": "class"}),
    "mgd, one granularity": ("mgd", {"granularities": (1,), "scheme": "stable"}),
    "mgd, stable": ("mgd", {"scheme": "stable"}),
    "mgd of at": ("mgd", {"base": "at", "knobs": {"beta": 100}}),
    "mgd of fitnet, stable": ("mgd", {"base": "fitnet", "scheme": "stable"}),
    "mgd of crd, no divergence": ("mgd", {"base": "crd", "div": 0.0}),
    "mgd of afd": ("mgd", {"base": "afd"}),
    "mgd of afds": ("mgd", {"base": "afds"}),
    "mgd of ab, its boundaries": ("mgd", {"base": "ab", "knobs": {"init": 0.9}}),
    "mgd of ft": ("mgd", {"base": "ft"}),
    "mgd of gpac, stable": ("mgd", {"base": "gpac", "scheme": "stable"}),
    "mgd of sp, stable, no codes": ("mgd", {"base": "sp", "scheme": "stable", "gamma": 0.0}),
    "mgd of at, the control": ("mgd", {"base": "at", "gamma": 0.0}),
}


def maps(name, knobs):
    return METHODS[name].maps(METHODS[name].Config(**knobs))


CASES = {name: (name, {}) for name in METHODS} | VARIANTS

# an adapter, a prediction or a memory of its own stands between what the student says and what the teacher says, or else:
NOT_MINIMAL_AT_THE_TEACHER = {
    *("fitnet", "vid", "vid, by order", "cc, reference", "crd", "afd", "reviewkd", "simkd", "norm", "norm, with divergence"),
    *("ca_mkd", "ca_mkd, reference scale", "ca_mkd, embedding", "mmkd", "mtkd_rl", "ofa", "ofa, enhanced"),
    *("ctkd", "logit_std of ctkd"),  # its temperature
    *("ttm", "wttm"),  # which soften the teacher alone
    *("rld", "logit_std of rld"),  # which corrects the teacher by the label
    *("wkd_f", "wkd_f, in cells", "vkd"),
    "wkd_l",  # whose transport is blurred
    *("crld",),  # of which one view learns what is said of the other
    *(case for case in CASES if case.startswith("mgd") and not case.endswith(("the control", "no codes"))),
    *("ft", "ft, of maps", "ft, paraphrasers as drawn", "afds", "afds, softmax"),
    *("none", "ab", "fsp"),  # which have no term but the cross-entropy, from some epoch on
}
COUNTS_ITS_STEPS = {"mmkd"}  # and decides by the count whether to learn
PAIRS_NEIGHBOURS = {"cc, reference"}  # its loss depends on who comes next to whom in the batch
EXEMPT = {
    *(("least at the teacher", case) for case in NOT_MINIMAL_AT_THE_TEACHER),
    *(("tokens", case) for case, (name, knobs) in CASES.items() if maps(name, knobs) == set(Side)),
    *(("device", case) for case in COUNTS_ITS_STEPS),
    *(("order of samples", case) for case in PAIRS_NEIGHBOURS),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("law", METHOD_LAWS)
def test_laws(law, case):
    name, knobs = CASES[case]
    try:
        METHOD_LAWS[law].check(Case(METHODS[name], knobs))
    except Exempt:
        assert (law, case) in EXEMPT
    except (Broken, RuntimeError):
        if (law, case) not in EXEMPT:
            raise
    else:
        assert (law, case) not in EXEMPT


EARLY = ("ab", "ft", "fsp", "kdsvd", "afds")


def test_whose_stages_must_be_maps():
    both = {name for name in METHODS if maps(name, {}) == set(Side)}
    assert both == {"fitnet", "at", "vid", "nst", "afd", "reviewkd", "cat_kd", "sdd", "ca_mkd", "gpac", "wkd_f", "norm", *EARLY}
    assert {name for name in METHODS if maps(name, {}) and name not in both} == {"simkd"}
    assert maps("simkd", {}) == {Side.STUDENT}
    assert not maps("gpac", {"beta": 0.0})
    assert not maps("ca_mkd", {"hint": "embedding"})
    assert maps("mgd", {"base": "at"}) == set(Side)


def test_what_is_exempt_says_so():
    """To `kd check`, which knows nothing of the variants here."""
    told = {(law, name) for name, method in METHODS.items() for law in method.exempt}
    assert told == {("device", "mmkd"), *(("least at the teacher", name) for name in ("ttm", "wttm", "rld", "crld", "wkd_l"))}
    assert all(case in CASES and law in METHOD_LAWS for law, case in EXEMPT)


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
