"""Workers that train one network together, each on its part of every batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from kd_core.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor


class WorkerLost(RuntimeError):
    """Another worker of the group is gone or does not answer. Nothing is wrong with the job: it can be tried again."""


class Group:
    """Worker ``rank`` of ``size``, joined by torch.distributed's default process group. Alone, there is nothing to join.

    The parts of a batch follow from its place and the number of workers. A batch that is smaller than the group goes to all of
    its workers whole: each then counts for one part in ``size``.
    """

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        assert 0 <= rank < size
        self.rank = rank
        self.size = size
        self.copies = 1  # how often each image of the batch at hand is in the group

    @classmethod
    def here(cls) -> Group:
        """The group that this process belongs to."""
        distributed = torch.distributed
        if not (distributed.is_available() and distributed.is_initialized()):
            return cls()
        return cls(distributed.get_rank(), distributed.get_world_size())

    @property
    def leads(self) -> bool:
        """Whether this is the one worker that writes."""
        return self.rank == 0

    @property
    def device(self) -> str:
        """Where numbers must lie that the workers exchange."""
        return "cuda" if self.size > 1 and torch.distributed.get_backend() == "nccl" else "cpu"

    def part(self, span: slice) -> slice:
        """This worker's part of a batch, never an empty one."""
        count = span.stop - span.start
        if count < self.size:
            return span
        return slice(span.start + count * self.rank // self.size, span.start + count * (self.rank + 1) // self.size)

    def begin(self, span: slice) -> float:
        """Begin a step on a batch; returns the weight of this worker's part in it. The weights of all workers sum to one."""
        count, own = span.stop - span.start, self.part(span)
        self.copies = self.size if count < self.size else 1
        return float((own.stop - own.start) / count / self.copies)

    def sum(self, tensors: Sequence[Tensor]) -> None:
        """Replace every tensor by its sum over the workers, the same bits on each. They are of one type and device.

        Raises:
            WorkerLost: where another worker is gone.
        """
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        with _together():
            torch.distributed.all_reduce(flat)
        for tensor, part in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))

    def copy(self, tensors: Iterable[Tensor]) -> None:
        """Replace every tensor by that of the first worker.

        Raises:
            WorkerLost: where another worker is gone.
        """
        if self.size > 1:
            for tensor in tensors:
                with _together():
                    torch.distributed.broadcast(tensor, 0)


class _together:
    """What torch.distributed raises when a peer is gone is a RuntimeError like others."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, RuntimeError) and not isinstance(error, torch.OutOfMemoryError):
            raise WorkerLost(f"another worker of the group is gone: {error}") from error


ALONE = Group()
