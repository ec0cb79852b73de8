"""The parts in which a bank is filled, each by a job of its own: at once where there are machines, and kept once it is done.

How many there are follows from the data alone, since the parts are named in the keys of the students that read them.
"""

from __future__ import annotations

import itertools
import math

from kd_core.data.table import DataConfig

PART = 2**19  # views of images that are worth a job of their own: half a minute on a fast GPU, hours on a CPU core
MOST = 16  # parts of a bank, however large it is


def parts(data: DataConfig) -> list[tuple[int, int]]:
    """The first view of each part and the one behind its last, in their order; as even as can be."""
    count = min(MOST, data.views, math.ceil(data.images * data.views / PART))
    bounds = [part * data.views // count for part in range(count + 1)]
    return list(itertools.pairwise(bounds))
