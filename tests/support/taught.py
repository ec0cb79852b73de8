"""A teacher, and students of digits with and without parts of their own, trained in seconds."""

from __future__ import annotations

from pathlib import Path

from orchestrator.driver import run

YAML = """\
name: {name}
store: {store}
data: {{name: digits, train_size: 150}}
teachers: {{models: resnet8, recipe: {{epochs: 1, batch_size: 32}}}}
probes: false
students:
  models: resnet8
  seeds: [0, 1]
  methods: [none, simkd]
  recipe: {{epochs: 1, batch_size: 32}}
tracking: {{enabled: false}}
"""


def asked(folder: Path, name: str) -> Path:
    """The experiment's file, in a folder with its store."""
    file = folder / f"{name}.yaml"
    file.write_text(YAML.format(name=name, store=folder / "store"))
    return file


def trained(folder: Path, name: str) -> Path:
    """The experiment's file, once all is done."""
    file = asked(folder, name)
    assert not run(file, executor="inline").failed
    return file
