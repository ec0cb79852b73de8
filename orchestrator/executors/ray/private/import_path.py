"""What stands before the import path of our workers: `_runtime_env_has_working_dir` and `_py_driver_sys_path` of `JobConfig`.

Ray puts the folder that a command is given in before all else there: a `timeit.py` of the user's made every job fail, and
another checkout in it was run instead of this project. It does not where a working folder is sent along, which is what is said
here of every job. Tested with Ray 2.60.0. A later Ray that asks otherwise puts that folder there again; where its `JobConfig`
has no such argument, TypeError names it.
"""

from __future__ import annotations

import site
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import orchestrator

if TYPE_CHECKING:
    from ray.job_config import JobConfig


def job_config() -> JobConfig:
    """The configuration of a job whose workers import what is installed, and this project from where this process does."""
    from ray.job_config import JobConfig

    class Installed(JobConfig):
        def _runtime_env_has_working_dir(self) -> bool:
            return True

    return Installed(_py_driver_sys_path=checkout([*site.getsitepackages(), site.getusersitepackages()]))


def checkout(installed: Sequence[str]) -> list[str]:
    """The folder that this project lies in, where it is found by ``sys.path`` and not among what is ``installed``: a worker
    would not find it by itself."""
    [package] = orchestrator.__path__
    folder = Path(package).parent.resolve()
    places = {Path(place).resolve() for place in sys.path}
    return [str(folder)] if folder in places - {Path(place).resolve() for place in installed} else []
