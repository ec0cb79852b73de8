"""Whether an entry is what its table holds."""

from __future__ import annotations

from kd_core.data.table import DatasetInfo
from kd_core.evaluation.evaluation import Evaluation
from kd_core.knobs import Knobs
from kd_core.knowledge import Need
from kd_core.methods.method import Method
from kd_core.models.info import ModelInfo

LONGEST_NAME = 60


def entry_problem(table: str, name: object, value: object) -> str:
    """Why an entry of METHODS, MODELS, DATASETS or EVALUATIONS is none; empty where it is one."""
    if not isinstance(name, str) or not name.isidentifier() or len(name) > LONGEST_NAME:
        return f"must have a name of letters, digits and _ ({LONGEST_NAME} at most)"
    if table == "MODELS":
        return value.problem() if isinstance(value, ModelInfo) else _wanted(ModelInfo, value)
    if table == "DATASETS":
        return value.problem() if isinstance(value, DatasetInfo) else _wanted(DatasetInfo, value)
    base: type[Method] | type[Evaluation] = Method if table == "METHODS" else Evaluation
    if not (isinstance(value, type) and issubclass(value, base)):
        return f"must be a class that derives from {base.__module__}.{base.__name__}, but is {_shown(value)}"
    if missing := sorted(getattr(value, "__abstractmethods__", ())):
        return f"does not define {', '.join(missing)}"
    config = getattr(value, "Config", None)
    if not (isinstance(config, type) and issubclass(config, Knobs)):
        return "has no Config that derives from kd_core.knobs.Knobs"
    if not isinstance(value.version, int):
        return f"has a version that is no integer: {value.version!r}"
    try:
        return _needs(value, config()) if issubclass(value, Method) else _numbers(value, config())
    except Exception as error:  # whatever a stranger's class does
        return f"raises {type(error).__name__} for its defaults: {error}"


def _needs(method: type[Method], config: Knobs) -> str:
    needs = method.needs(config)
    if isinstance(needs, frozenset) and all(isinstance(need, Need) for need in needs):
        return ""
    return f"needs {needs!r}, which nothing can answer; allowed is a frozenset of {', '.join(Need)}"


def _numbers(evaluation: type[Evaluation], config: Knobs) -> str:
    named = all(isinstance(number, str) for number in evaluation.numbers(config))
    return "" if named else "has numbers whose names are not text"


def _wanted(kind: type, value: object) -> str:
    return f"must be a {kind.__module__}.{kind.__name__}, but is {_shown(value)}"


def _shown(value: object) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"
