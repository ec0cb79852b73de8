from __future__ import annotations

import pytest


@pytest.fixture
def pretended(tmp_path, monkeypatch):
    """Makes commands of Slurm's that do what their shell script says; what is not made is not there."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def make(name, script):
        file = folder / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    return make
