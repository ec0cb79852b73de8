"""Every method by its name in YAML. Reading this table imports no torch."""

from __future__ import annotations

from kd_core.methods.ab import AB
from kd_core.methods.aekd import AEKD
from kd_core.methods.afd import AFD
from kd_core.methods.afds import AFDS
from kd_core.methods.at import AT
from kd_core.methods.aver import AVER
from kd_core.methods.ca_mkd import CAMKD
from kd_core.methods.cat_kd import CATKD
from kd_core.methods.cc import CC
from kd_core.methods.crd import CRD
from kd_core.methods.crld import CRLD
from kd_core.methods.ctkd import CTKD
from kd_core.methods.dist import DIST
from kd_core.methods.dkd import DKD
from kd_core.methods.ebkd import EBKD
from kd_core.methods.fitnet import FitNet
from kd_core.methods.fsp import FSP
from kd_core.methods.ft import FT
from kd_core.methods.gpac import GPAC
from kd_core.methods.kd import KD
from kd_core.methods.kdsvd import KDSVD
from kd_core.methods.logit_std import LogitStd
from kd_core.methods.method import Method
from kd_core.methods.mgd import MGD
from kd_core.methods.mlld import MLLD
from kd_core.methods.mmkd import MMKD
from kd_core.methods.mtkd_rl import MTKDRL
from kd_core.methods.none import Plain
from kd_core.methods.norm import NORM
from kd_core.methods.nst import NST
from kd_core.methods.ofa import OFAKD
from kd_core.methods.pkt import PKT
from kd_core.methods.reviewkd import ReviewKD
from kd_core.methods.rkd import RKD
from kd_core.methods.rld import RLD
from kd_core.methods.sdd import SDD
from kd_core.methods.simkd import SimKD
from kd_core.methods.sp import SP
from kd_core.methods.ttm import TTM, WTTM
from kd_core.methods.vid import VID
from kd_core.methods.vkd import VkD
from kd_core.methods.wkd import WKDF, WKDL

METHODS: dict[str, type[Method]] = {
    "none": Plain,
    # of one teacher, averaged over several
    "kd": KD,
    "fitnet": FitNet,
    "at": AT,
    "sp": SP,
    "vid": VID,
    "rkd": RKD,
    "pkt": PKT,
    "cc": CC,
    "nst": NST,
    "ab": AB,
    "ft": FT,
    "fsp": FSP,
    "kdsvd": KDSVD,
    "crd": CRD,
    "afd": AFD,
    "afds": AFDS,
    "dkd": DKD,
    "dist": DIST,
    "reviewkd": ReviewKD,
    "simkd": SimKD,
    "ctkd": CTKD,
    "cat_kd": CATKD,
    "ofa": OFAKD,
    "ttm": TTM,
    "wttm": WTTM,
    "sdd": SDD,
    "rld": RLD,
    "mlld": MLLD,
    "crld": CRLD,
    "wkd_l": WKDL,
    "wkd_f": WKDF,
    "vkd": VkD,
    "norm": NORM,
    # of several teachers
    "aver": AVER,
    "ebkd": EBKD,
    "aekd": AEKD,
    "ca_mkd": CAMKD,
    "mmkd": MMKD,
    "mtkd_rl": MTKDRL,
    "gpac": GPAC,
    # over another method
    "logit_std": LogitStd,
    "mgd": MGD,
}
