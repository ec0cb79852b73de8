"""The self-analysing module of MGD (Shao & Chen 2021, arXiv 2108.06681): what a teacher knows, at several granularities.

Of each granularity g, with the teacher's embedding h of dimension D:

    code      E_g h        E_g: Linear(D, D), ReLU, Linear(D, n_g)
    decoded   D_g E_g h    D_g: Linear(n_g, D), ReLU, Linear(D, K)
    L = Σ_g KL_{T_g}(z_T ‖ D_g E_g h) + CE(D_g E_g h, y)
"""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn

from kd_core.losses import cross_entropy, kl_divergence
from kd_core.methods.modules.analysis_config import AnalysisConfig

Codes = tuple[Tensor, ...]  # B × n_g, one per granularity


def perceptron(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))


class Encoders(nn.Module):
    """From an embedding to its code at every granularity."""

    def __init__(self, embedding: int, codes: Iterable[int]) -> None:
        super().__init__()
        self.granularities = nn.ModuleList(perceptron(embedding, embedding, code) for code in codes)

    def forward(self, embedding_BD: Tensor) -> Codes:
        return tuple(encode(embedding_BD) for encode in self.granularities)


class Analyser(nn.Module):
    """Encoders and decoders of one teacher, of ``embedding`` D and ``classes`` K."""

    def __init__(self, config: AnalysisConfig, embedding: int, classes: int) -> None:
        super().__init__()
        self.config = config
        self.encode = Encoders(embedding, config.codes)
        self.decoders = nn.ModuleList(perceptron(code, embedding, classes) for code in config.codes)

    def forward(self, embedding_BD: Tensor) -> tuple[Codes, tuple[Tensor, ...]]:
        """The code of every granularity, and the logits BK decoded from it."""
        codes = self.encode(embedding_BD)
        return codes, tuple(decode(code_BN) for decode, code_BN in zip(self.decoders, codes, strict=True))


def granularity_of(name: str) -> int:
    """Which granularity a tensor of an analyser's state belongs to, by its name."""
    return int(name.removeprefix("encode.granularities.").removeprefix("decoders.").partition(".")[0])


def analysis_terms(
    decoded: tuple[Tensor, ...], logits_BK: Tensor, labels_B: Tensor, temperatures: tuple[float, ...]
) -> dict[str, Tensor]:
    """The terms of L, by name; ``logits_BK`` are the teacher's."""
    terms = {}
    for granularity, (decoded_BK, temperature) in enumerate(zip(decoded, temperatures, strict=True)):
        terms[f"kl/granularity{granularity}"] = kl_divergence(logits_BK, decoded_BK, temperature)
        terms[f"ce/granularity{granularity}"] = cross_entropy(decoded_BK, labels_B)
    return terms
