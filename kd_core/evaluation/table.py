"""Every evaluation by its name in YAML. Reading this table imports no torch."""

from __future__ import annotations

from kd_core.evaluation.calibration import Calibration
from kd_core.evaluation.evaluation import Evaluation
from kd_core.evaluation.robustness import Robustness
from kd_core.evaluation.transfer import Transfer

EVALUATIONS: dict[str, type[Evaluation]] = {
    "calibration": Calibration,
    "robustness": Robustness,
    "transfer": Transfer,
}
