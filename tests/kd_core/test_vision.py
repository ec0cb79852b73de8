"""torchvision is imported in one place, which repairs it only where it must."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.support.paths import ROOT

IMPORT = re.compile(r"^\s*(import|from) torchvision\b", re.MULTILINE)
STUB = {
    "__init__.py": "",
    "datasets.py": "",
    "models.py": "",
    "transforms/__init__.py": "",
    "transforms/v2.py": "",
}


def test_no_other_module_imports_torchvision() -> None:
    sources = [path for package in ("kd_core", "orchestrator") for path in (ROOT / package).rglob("*.py")]
    importers = [path.relative_to(ROOT).as_posix() for path in sources if IMPORT.search(path.read_text())]
    assert importers == ["kd_core/vision.py"]


def test_datasets_models_and_transforms_work() -> None:
    import torch

    from kd_core.vision import datasets, models, transforms

    assert issubclass(datasets.CIFAR100, torch.utils.data.Dataset)
    assert "resnet18" in models.list_models()
    column = torch.tensor([[[1, 2, 3]]])
    assert transforms.RandomHorizontalFlip(p=1)(column).tolist() == [[[3, 2, 1]]]


def test_nothing_is_declared_where_torchvision_imports(tmp_path: Path) -> None:
    for name, text in STUB.items():
        (tmp_path / "torchvision" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "torchvision" / name).write_text(text)
    code = (
        f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]; import torch; from kd_core import vision; "
        "assert vision.datasets.__file__.startswith(sys.path[0]); assert not hasattr(torch.ops.torchvision, 'nms')"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
