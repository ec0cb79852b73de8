"""Names, seeds and labels in the YAML, and what later sections must know of earlier ones to check them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, cast

from pydantic import AfterValidator, Field, ValidationInfo

from kd_core.data.table import DataConfig
from kd_core.models.table import check_name, model_info, model_names
from orchestrator.experiment.problems import InvalidValue, suggestion
from orchestrator.experiment.search_config import SearchConfig
from orchestrator.experiment.spec import Tracking
from orchestrator.store.backends.uri import uri_problem
from orchestrator.store.given import remembered
from orchestrator.store.store import Store

PASSWORD = re.compile(r"://[^\s?#]*:[^\s?#]*@|[?&][^=&]*(pass|token|secret)[^=&]*=", re.IGNORECASE)  # in a URI
PLACE = re.compile(r"https?://[^/]|(sqlite|postgresql|mysql|mssql)(\+\w+)?://|databricks(-uc)?(://|$)")  # of MLflow
SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
ALL, EACH = "all", "each"
STORE = "kd-store"  # where results are kept unless the file says otherwise


@dataclass
class Context:
    """What is known while sections are validated, in their order. None: not yet, or their section has mistakes."""

    data: DataConfig | None
    teachers: tuple[str, ...] | None  # names
    probes: bool | None  # whether they are on; where nothing is said of them, they are wherever there is a validation split
    students: tuple[str, ...] = ()  # their models
    search: SearchConfig = field(default_factory=SearchConfig)  # how knobs are searched unless a method says otherwise
    heard: tuple[str, ...] = (ALL,)  # whom the methods of a group of students learn from unless they say otherwise
    folder: Path = Path()  # of the YAML
    known_weights: Callable[[str], str | None] = lambda file: None  # the SHA-256 of a file that is gone, where the store has it

    @classmethod
    def of(cls, written: dict[str, object], file: str) -> Context:
        """What is known of an experiment before its sections are validated: what follows from those that it leaves out."""

        def known(weights: str) -> str | None:
            name, place = written.get("name"), written.get("store", STORE)
            if not isinstance(name, str) or not isinstance(place, str) or uri_problem(place):
                return None
            return remembered(name, weights, Store(place))

        teachers, probes = None if "teachers" in written else (), None if "probes" in written else True
        return cls(None, teachers, probes, folder=Path(file).parent, known_weights=known)


def safe_name(name: str) -> str:
    """The name, which can be a file's.

    Raises:
        InvalidValue: where it cannot.
    """
    if not SAFE.fullmatch(name):
        allowed = "letters, digits, '.', '_' and '-', with a letter or digit first, at most 100"
        raise InvalidValue(f"must be a safe file name ({allowed}), but got {name[:120]!r}")
    return name


def check_data(data: DataConfig) -> None:
    """See that the data set can be split so.

    Raises:
        InvalidValue: where it cannot.
    """
    classes, held_out = data.info.classes, round(data.info.train * data.validation)
    if data.validation > 0 and held_out < classes:
        raise InvalidValue(f"leaves {held_out} validation images for the {classes} classes of {data.name}", at=("validation",))
    if data.padding is not None and data.padding >= data.info.size:
        size = data.info.size
        raise InvalidValue(f"must be less than the images' {size}×{size}, but got {data.padding}", at=("padding",))
    if data.train_size is not None and data.train_size < classes:
        raise InvalidValue(
            f"must hold an image of each of the {classes} classes, but got {data.train_size}", at=("train_size",)
        )


def without_password(tracking: Tracking) -> Tracking:
    """The section, whose URI may be shown to everybody.

    Raises:
        InvalidValue: where it holds a password, or is no place of MLflow's.
    """
    if tracking.uri is not None and not PLACE.match(tracking.uri):
        places = "http://HOST:PORT, sqlite:///FILE, postgresql://…, mysql://…, mssql://… or databricks"
        raise InvalidValue(f"must be {places}, but got {tracking.uri!r}", at=("uri",))
    if tracking.uri and PASSWORD.search(tracking.uri):
        how = (
            "a server's goes into MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, PostgreSQL's into PGPASSWORD or "
            "~/.pgpass; or the whole URI into MLFLOW_TRACKING_URI"
        )
        raise InvalidValue(f"must not hold a password: {how}", at=("uri",))
    return tracking


def label(text: str) -> str:
    """The label, of one visible line.

    Raises:
        InvalidValue: where it is not.
    """
    if not text.strip() or not text.isprintable() or len(text) > 80:
        raise InvalidValue(f"must be one line of 1 to 80 visible characters, but got {text[:120]!r}")
    return text


def model(name: str, info: ValidationInfo) -> str:
    """The name of a model that can take the experiment's images.

    Raises:
        InvalidValue: where there is none, or it cannot.
    """
    if problem := check_name(name):
        raise InvalidValue(f"{problem} (see `kd list models`)")
    data = cast(Context, info.context).data
    if data and (refusal := model_info(name).refusal(size := data.info.size)):
        raise InvalidValue(f"{name} {refusal}, but those of {data.name} are {size}×{size}")
    return name


def teacher(name: str, info: ValidationInfo) -> str:
    """The name of one of the experiment's teachers, or `all` or `each`.

    Raises:
        InvalidValue: where it is neither.
    """
    known = cast(Context, info.context).teachers
    if known is None and name not in (
        ALL,
        EACH,
    ):  # their section has mistakes: what is no name of any teacher is wrong all the same
        model = re.fullmatch(r"(.+)-s\d+(?:-.+)?", name)
        if not model or check_name(model[1]):
            raise InvalidValue(f"no teacher named {name!r}: a name is MODEL-sSEED, as in resnet56-s0")
    if known is not None and name not in (ALL, EACH, *known):
        hint = suggestion(name, (ALL, EACH, *known)) or f" (there are: {', '.join(known) or 'none'})"
        raise InvalidValue(f"no teacher named {name!r}{hint}")
    return name


def _models(schema: dict[str, object]) -> None:
    """Those that there are when the schema is asked for."""
    schema["anyOf"] = [{"enum": list(model_names())}, {"pattern": "^timm:."}]


Text = Annotated[str, Field(min_length=1)]
Name = Annotated[str, AfterValidator(safe_name), Field(json_schema_extra={"pattern": f"^{SAFE.pattern}$"})]
Label = Annotated[str, AfterValidator(label), Field(json_schema_extra={"minLength": 1, "maxLength": 80})]
ModelName = Annotated[
    str,
    AfterValidator(model),
    Field(json_schema_extra=_models),
]
TeacherName = Annotated[str, AfterValidator(teacher)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
