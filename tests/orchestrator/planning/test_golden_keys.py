"""Moving code changes no key: the keys of every experiment that we ship stand in a file.

Where a result changes, its key must too; then the CHANGELOG says so, and this file is written anew:
python -m tests.orchestrator.planning.test_golden_keys
"""

from __future__ import annotations

import json

import pytest

from orchestrator.experiment.load import load
from orchestrator.planning.plan import make
from tests.support.paths import ROOT

GOLDEN = ROOT / "tests" / "golden" / "keys.json"
EXPERIMENTS = sorted(path.name for path in (ROOT / "experiments").glob("*.yaml"))


def keys(experiment: str) -> dict[str, dict[str, str]]:
    """By kind and title, the first half of each key: 128 bits, which tell any two jobs apart."""
    found: dict[str, dict[str, str]] = {}
    for job in make(load(str(ROOT / "experiments" / experiment))):
        of_kind = found.setdefault(job.kind, {})
        assert job.title not in of_kind, f"two jobs of {experiment} are called {job.title}"
        of_kind[job.title] = job.key[:32]
    return found


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_keys_are_those_of_the_golden_file(experiment):
    golden = json.loads(GOLDEN.read_text())[experiment]
    found = keys(experiment)
    assert list(found) == list(golden)
    for kind, titles in golden.items():
        changed = [title for title in titles if found[kind].get(title) != titles[title]]
        assert not changed, f"{len(changed)} of {len(titles)} {kind} jobs of {experiment} have another key: {changed[:3]}"
        assert found[kind].keys() == titles.keys()


def test_the_golden_file_holds_every_experiment_and_no_other():
    assert sorted(json.loads(GOLDEN.read_text())) == EXPERIMENTS


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps({name: keys(name) for name in EXPERIMENTS}, indent=1, ensure_ascii=False) + "\n")
