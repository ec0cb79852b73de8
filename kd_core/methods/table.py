"""Every method by its name in YAML. Reading this table imports no torch."""

from __future__ import annotations

from kd_core.methods.at import AT
from kd_core.methods.method import Method
from kd_core.methods.none import Plain

METHODS: dict[str, type[Method]] = {
    "none": Plain,
    "at": AT,
}
