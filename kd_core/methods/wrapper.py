"""What methods that wrap another method share: knobs that hold the knobs of the base."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from kd_core.knobs import Knobs, knob
from kd_core.knowledge import Need, Side
from kd_core.methods.method import Method
from kd_core.methods.selection import ProbeSelection
from kd_core.methods.setting import Setting


@dataclass(frozen=True)
class Wrapping(Knobs):
    """``{base: dkd, knobs: {temperature: 2}}``. Once made, ``knobs`` is the base's config with every default written out.

    Raises:
        ValueError: also for what the base's config refuses.
    """

    bases: ClassVar[dict[str, type[Method]]]
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}  # defaults of a base that are others when it is wrapped

    base: str = knob("kd", "the method that is wrapped")
    knobs: Mapping[str, Any] | None = knob(None, "knobs of the base that differ from its defaults")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.base not in self.bases:
            raise ValueError(f"`base` must be one of {', '.join(self.bases)}, but got {self.base!r}")
        if not isinstance(self.knobs, Knobs):
            values = {**self.presets.get(self.base, {}), **(self.knobs or {})}
            try:
                object.__setattr__(self, "knobs", self.bases[self.base].Config.parse(values))
            except ValueError as error:
                raise ValueError(f"`knobs` of {self.base}: {error}") from None

    @classmethod
    def takes(cls, method: type[Method]) -> bool:
        """Whether a method of others can be wrapped."""
        return not issubclass(method.Config, Wrapping)

    @property
    def method(self) -> type[Method]:
        """The base."""
        return self.bases[self.base]

    @property
    def inner(self) -> Any:
        """The base's config."""
        return cast(Any, self.knobs)


class Wrapper(Method):
    """A method over a base, of which it passes on whatever the base asks of teachers, batches and networks."""

    config: Any  # a Wrapping

    def __init__(self, config: Any, setting: Setting) -> None:
        super().__init__(config, setting)
        self.base: Method = config.method(config.inner, setting)

    @staticmethod
    def needs(config: Any) -> frozenset[Need]:
        needs: frozenset[Need] = config.method.needs(config.inner)
        return needs

    @staticmethod
    def selection(config: Any) -> ProbeSelection | None:
        selection: ProbeSelection | None = config.method.selection(config.inner)
        return selection

    @staticmethod
    def mixable(config: Any) -> bool:
        return bool(config.method.mixable(config.inner))

    @staticmethod
    def further_views(config: Any) -> tuple[Mapping[str, Any], ...]:
        views: tuple[Mapping[str, Any], ...] = config.method.further_views(config.inner)
        return views

    def listens(self, progress: float) -> bool:
        return self.base.listens(progress)

    @classmethod
    def maps(cls, config: Any) -> frozenset[Side]:
        sides: frozenset[Side] = config.method.maps(config.inner)
        return sides


def adopt(methods: Mapping[str, type[Method]]) -> None:
    """Have every wrapper take, besides our bases, those of these methods that it can wrap, and no others."""
    for wrapping in Wrapping.__subclasses__():
        for name in _adopted.pop(wrapping, ()):
            del wrapping.bases[name]
        taken = {name: method for name, method in methods.items() if wrapping.takes(method)}
        wrapping.bases.update(taken)
        _adopted[wrapping] = tuple(taken)


_adopted: dict[type[Wrapping], tuple[str, ...]] = {}
