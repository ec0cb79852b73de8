"""MGD, multi-granularity distillation (Shao & Chen 2021, arXiv 2108.06681), over another method.

Each teacher has been analysed (:mod:`kd_core.methods.modules.analyser`): of its embedding h_t there are codes E_g h_t at
several granularities g, and logits D_g E_g h_t decoded from them. The student learns the codes by encoders of its own, which
are fresh and dropped after the training.

    L = L_base + div · (1/M) Σ_t KL_T(z'_t ‖ z_s) + γ · Σ_g (1/M) Σ_t KL_{T_g}(E_g h_t ‖ E'_{t,g} h_s)

    scheme granularity (MAG)   z'_t = z_t
    scheme stable (MAS)        z'_t = the mean of z_t and D_g E_g h_t over all g

L_base is all that the base computes, with its own weights, its cross-entropy among it. Of KD that is 0.2 · CE, since MGD's own
divergence takes the place of its own; there ``div`` is 0.8, over all others 1. T_g is that of the analysis.

Ours: γ, the source's 1; several teachers, whose terms are averaged and for each of which the student has encoders; and GPAC as
a base, whose instruction and attention stay as they are; and of bases that begin with another loss (AB, FSP, FT), that MGD's
own terms are there from the first epoch. SimKD is no base: it throws away the logits that would be taught. With γ = 0 what is
left is the fair control, the base with a KD term.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, ClassVar, TypeVar

from kd_core.knobs import Choice, Knobs, LogUniform, knob
from kd_core.knowledge import Batch, Knowledge, Need
from kd_core.lazy import nn, torch
from kd_core.losses import kl_divergence, label_loss, stable_BK
from kd_core.methods.ab import AB
from kd_core.methods.afd import AFD
from kd_core.methods.afds import AFDS
from kd_core.methods.at import AT
from kd_core.methods.cat_kd import CATKD
from kd_core.methods.cc import CC
from kd_core.methods.crd import CRD
from kd_core.methods.crld import CRLD
from kd_core.methods.ctkd import CTKD
from kd_core.methods.dist import DIST
from kd_core.methods.dkd import DKD
from kd_core.methods.fitnet import FitNet
from kd_core.methods.fsp import FSP
from kd_core.methods.ft import FT
from kd_core.methods.gpac import GPAC
from kd_core.methods.kdsvd import KDSVD
from kd_core.methods.method import Method
from kd_core.methods.mlld import MLLD
from kd_core.methods.nst import NST
from kd_core.methods.ofa import OFAKD
from kd_core.methods.pkt import PKT
from kd_core.methods.reviewkd import ReviewKD
from kd_core.methods.rkd import RKD
from kd_core.methods.rld import RLD
from kd_core.methods.sdd import SDD
from kd_core.methods.setting import Loss, Setting
from kd_core.methods.sp import SP
from kd_core.methods.ttm import TTM, WTTM
from kd_core.methods.vid import VID
from kd_core.methods.vkd import VkD
from kd_core.methods.wkd import WKDF, WKDL
from kd_core.methods.wrapper import Wrapper, Wrapping

if TYPE_CHECKING:
    from torch import Tensor


class Labels(Method):
    """KD as a base: its cross-entropy, since its divergence is MGD's own."""

    @dataclass(frozen=True)
    class Config(Knobs):
        ce: float = knob(0.2, "weight of the cross-entropy with the labels", low=0)

    config: Config

    @staticmethod
    def needs(config: Config) -> frozenset[Need]:
        return frozenset()

    def forward(self, student: Knowledge, teachers: tuple[Knowledge, ...], batch: Batch, progress: float) -> Loss:
        return Loss({"ce": self.config.ce * label_loss(student.logits_BK, batch)})


Part = TypeVar("Part")
BASES: dict[str, type[Method]] = {
    "kd": Labels,
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
    "reviewkd": ReviewKD,
    "gpac": GPAC,
}
GRANULARITY, STABLE = SCHEMES = ("granularity", "stable")


class MGD(Wrapper):
    @dataclass(frozen=True)
    class Config(Wrapping):
        bases = BASES
        presets: ClassVar = {
            "afd": {"kl": 0.0},  # the divergence beside it is MGD's
            "afds": {"beta": 1.0},  # the source's, which calls it AFD
        }

        base: str = knob("kd", "the method that is taught at several granularities", choices=BASES)
        scheme: str = knob(
            GRANULARITY,
            "whose logits are taught; granularity: the teacher's; stable: their mean with those decoded from its codes",
            choices=SCHEMES,
            search=Choice(SCHEMES),
        )
        div: float | None = knob(None, "weight of the divergence from the teachers; null: 0.8 over kd, 1 over others", low=0)
        temperature: float = knob(4.0, "softens both distributions of that", above=0, search=LogUniform(1, 16))
        gamma: float = knob(1.0, "weight of the codes; 0 leaves the control", low=0, search=LogUniform(0.1, 10))

        granularities: tuple[int, ...] | None = knob(
            None, "which of the analysis' codes the student learns, counted from 0; null: all", low=0, later=True
        )

        def conflicts(self) -> list[str]:
            used = self.granularities
            if used is not None and (not used or list(used) != sorted(set(used))):
                return [f"`granularities` must name some, in rising order, but got {list(used)}"]
            if self.scheme == STABLE and self.div == 0:
                return ["`scheme` stable changes what `div` weighs, which must be > 0, but got 0"]
            return []

        @property
        def weight(self) -> float:
            """Of the divergence."""
            default = 0.8 if self.base == "kd" else 1.0
            return default if self.div is None else self.div

    version = 2  # its own; that of its base stands beside it in a key
    config: Config

    def __init__(self, config: Config, setting: Setting) -> None:
        super().__init__(config, setting)
        self.encoders: nn.Module = nn.ModuleDict()
        if config.gamma > 0:
            from kd_core.methods.modules.adapters import by_teacher
            from kd_core.methods.modules.analyser import Encoders

            width = setting.student.embedding
            self.encoders = by_teacher(Encoders(width, self._used(analyser.config.codes)) for analyser in setting.analysers)
        self.own = nn.ModuleDict({"base": self.base.own, "encoders": self.encoders})

    def _used(self, of_granularities: Sequence[Part]) -> tuple[Part, ...]:
        """Those of the granularities that the student learns.

        Raises:
            ValueError: where the analysis has no such granularity.
        """
        chosen = self.config.granularities
        if chosen is None:
            return tuple(of_granularities)
        if chosen[-1] >= len(of_granularities):
            count = len(of_granularities)
            raise ValueError(f"`granularities` must be < {count}, the number of the analysis' codes, but got {list(chosen)}")
        return tuple(of_granularities[granularity] for granularity in chosen)

    @staticmethod
    def needs(config: Config) -> frozenset[Need]:
        own: set[Need] = {Need.LOGITS} if config.weight > 0 else set()
        if config.gamma > 0 or config.scheme == STABLE:
            own |= {Need.EMBEDDING, Need.ANALYSES}
        return Wrapper.needs(config) | own

    def listens(self, progress: float) -> bool:
        return self.config.weight > 0 or self.config.gamma > 0 or super().listens(progress)

    def trainable(self) -> Iterator[nn.Parameter]:
        return chain(self.base.trainable(), self.encoders.parameters())

    def forward(self, student: Knowledge, teachers: tuple[Knowledge, ...], batch: Batch, progress: float) -> Loss:
        loss = self.base.forward(student, teachers, batch, progress)
        terms = {f"base_{name}" if name == "kl" else name: term for name, term in loss.terms.items()}
        if self.config.weight > 0:
            terms["kl"] = self.config.weight * self._divergence(student, teachers)
        if self.config.gamma > 0:
            divergences = self._of_codes(student, teachers)
            for granularity, divergence in zip(self.config.granularities or range(len(divergences)), divergences, strict=True):
                terms[f"granularity{granularity}"] = self.config.gamma * divergence
        return Loss(terms, loss.curves)

    def _divergence(self, student: Knowledge, teachers: tuple[Knowledge, ...]) -> Tensor:
        """The mean over teachers of KL_T(z' ‖ z_s)."""
        targets = [teacher.logits_BK for teacher in teachers]
        if self.config.scheme == STABLE:
            with torch.no_grad():
                pairs = zip(teachers, self.setting.analysers, strict=True)
                decoded = [(teacher, self._used(analyser(teacher.embedding_BD)[1])) for teacher, analyser in pairs]
                targets = [stable_BK(teacher.logits_BK, used) for teacher, used in decoded]
        divergences = [kl_divergence(target_BK, student.logits_BK, self.config.temperature) for target_BK in targets]
        return torch.stack(divergences).mean()

    def _of_codes(self, student: Knowledge, teachers: tuple[Knowledge, ...]) -> list[Tensor]:
        """The mean over teachers of KL_{T_g}, for every granularity."""
        by_teacher = []
        for teacher, analyser, encode in zip(teachers, self.setting.analysers, self.encoders.children(), strict=True):
            with torch.no_grad():
                targets = self._used(analyser.encode(teacher.embedding_BD))
            triples = zip(targets, encode(student.embedding_BD), self._used(analyser.config.temperatures), strict=True)
            by_teacher.append(torch.stack([kl_divergence(target_BN, own_BN, heat) for target_BN, own_BN, heat in triples]))
        return list(torch.stack(by_teacher).mean(0))
