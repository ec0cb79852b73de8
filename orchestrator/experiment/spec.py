"""What an experiment is, once its YAML is read, checked and multiplied out. Frozen; equal texts make equal specs."""

from __future__ import annotations

from dataclasses import dataclass, field

from kd_core.bank.config import BankConfig
from kd_core.data.place import Place
from kd_core.data.table import DataConfig
from kd_core.knobs import Distribution, Knobs, knob
from kd_core.methods.modules.analysis_config import AnalysisConfig
from kd_core.probes.config import ProbeConfig
from kd_core.recipe import Recipe
from orchestrator.experiment.search_config import SearchConfig
from orchestrator.jobs.kinds import KINDS, AllocationOf


@dataclass(frozen=True)
class Allocation(Knobs):
    """What one job may use."""

    cpus: int = knob(1, "CPU cores, and threads", low=1, high=4096)
    gpus: float = knob(0.0, "GPUs; a fraction shares one", low=0, high=1024)

    def conflicts(self) -> list[str]:
        if self.gpus > 1 and not self.gpus.is_integer():
            return [f"`gpus` above 1 must be whole, but got {self.gpus}"]
        return []


@dataclass(frozen=True)
class TeacherAllocation(Allocation):
    """What each teacher may use."""

    workers: int = knob(1, "processes that share the training of one teacher, each with so many cpus and gpus", low=1)

    def conflicts(self) -> list[str]:
        found = super().conflicts()
        if self.workers > 1 and not float(self.gpus).is_integer():
            found.append(f"`workers` > 1 want whole `gpus` each, or none, but got {self.gpus}")
        return found


@dataclass(frozen=True)
class Resources(Knobs):
    """How jobs are run. None of it is in a job's key."""

    teacher: TeacherAllocation = knob(TeacherAllocation(), "of each teacher's training, and of its probes, analysis and banks")
    student: Allocation = knob(Allocation(), "of each student's training")
    max_failures: int = knob(2, "how often a job whose worker died is tried again", low=0)
    compile: bool = knob(False, "torch.compile the networks")
    deterministic: bool = knob(True, "bit-identical repetition on the same kind of machine")
    system_metrics: bool = knob(False, "record the processor, memory and GPU use of every epoch, as curves `system/…`")

    def of(self, kind: str) -> Allocation:
        """What a job of a kind gets."""
        return self.student if KINDS[kind].allocation is AllocationOf.STUDENT else self.teacher


@dataclass(frozen=True)
class Tracking(Knobs):
    """The MLflow mirror of the store."""

    uri: str | None = knob(
        None,
        "MLflow tracking URI, without password; default: MLFLOW_TRACKING_URI, or an SQLite file next to the store, or on this "
        "machine where it is no folder",
    )
    experiment: str | None = knob(None, "MLflow experiment; default: the experiment's name")
    enabled: bool = knob(True, "whether to mirror at all")


@dataclass(frozen=True)
class Weights:
    """Weights that are given: a file, which its content names, or what torchvision publishes under a name."""

    file: str | None = None  # where it lies; or, where it is gone and the store knows what it was, as it is written
    sha256: str | None = None  # of the file
    name: str | None = None
    written: str | None = None  # the file, as the YAML names it


@dataclass(frozen=True)
class TeacherSpec:
    name: str  # <model>-s<seed>, or <model>-s<seed>-<label>; unique
    model: str
    seed: int
    recipe: Recipe | None  # None where its weights are given
    weights: Weights | None = None
    group: int = 0  # of the file's groups of teachers, counted from 0


@dataclass(frozen=True)
class MethodSpec:
    name: str  # in METHODS
    config: Knobs  # an instance of the method's Config
    label: str  # for people; unique among the experiment's variants: kd, kd(temperature=2), kd ← resnet20-s0


@dataclass(frozen=True)
class EvaluationSpec:
    name: str  # in EVALUATIONS
    config: Knobs  # an instance of the evaluation's Config


@dataclass(frozen=True)
class Claim:
    """That one method beats another of the same student, recipe and seeds. It is tested in the report, and in no job's key."""

    text: str
    better: str  # labels of methods
    than: str
    by: str  # TEST, or a number of an evaluation: robustness.accuracy@0.1


TEST = "test"  # the test accuracy


def other_data(config: Knobs | None) -> dict[str, DataConfig]:
    """The data sets among a config's knobs, by the knob's name."""
    return {} if config is None else {name: value for name, value in vars(config).items() if isinstance(value, DataConfig)}


@dataclass(frozen=True)
class SearchSpec:
    space: tuple[tuple[str, Distribution], ...]  # by dotted name: see orchestrator.experiment.space
    how: SearchConfig


@dataclass(frozen=True)
class StudentSpec:
    model: str
    seed: int
    method: MethodSpec
    teachers: tuple[str, ...]  # names, in the order of the spec's teachers; empty where the method needs none
    recipe: Recipe
    cell: str  # names everything but the seed, so that the seeds of a cell can be averaged
    search: SearchSpec | None = None  # finds values for some knobs; method and recipe hold their defaults
    control: str = ""  # of a searched cell: the cell of the defaults


@dataclass(frozen=True)
class PluginSpec:
    name: str  # as it is written
    sha256: str  # of its content


@dataclass(frozen=True)
class Source:
    """What was asked for, so that it can be asked for again."""

    text: str  # of the file, as it is
    assignments: tuple[str, ...] = ()  # of --set
    store: str | None = None  # of --store


@dataclass(frozen=True)
class Spec:
    name: str  # a safe file name
    file: str  # as the user gave it
    store: str  # local path or URI
    data: DataConfig  # every default written out
    place: Place
    teachers: tuple[TeacherSpec, ...]
    probes: ProbeConfig | None  # None: switched off
    students: tuple[StudentSpec, ...]
    analysis: AnalysisConfig = field(default_factory=AnalysisConfig)  # of the teachers whose students ask for it
    evaluations: tuple[EvaluationSpec, ...] = ()  # of every student
    best_test: bool = False  # whether students read the test split at every epoch, for the report alone
    claims: tuple[Claim, ...] = ()  # that the report tests
    bank: BankConfig = field(default_factory=BankConfig)
    resources: Resources = field(default_factory=Resources)
    tracking: Tracking = field(default_factory=Tracking)
    protocol: str | None = None  # in PROTOCOLS: what the file left out is that
    plugins: tuple[PluginSpec, ...] = ()  # that say what it may name besides ours
    source: Source = field(default=Source(""), compare=False)
