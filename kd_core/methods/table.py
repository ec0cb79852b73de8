"""Every method by its name in YAML. Reading this table imports no torch."""

from __future__ import annotations

from kd_core.methods.at import AT
from kd_core.methods.aver import AVER
from kd_core.methods.gpac import GPAC
from kd_core.methods.kd import KD
from kd_core.methods.method import Method
from kd_core.methods.none import Plain

METHODS: dict[str, type[Method]] = {
    "none": Plain,
    "kd": KD,
    "at": AT,
    "aver": AVER,
    "gpac": GPAC,
}
