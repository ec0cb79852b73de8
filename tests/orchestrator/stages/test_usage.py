import math
import time

from orchestrator.driver import run
from orchestrator.stages import usage
from orchestrator.stages.usage import Usage
from orchestrator.store.artifacts import HISTORY, MODEL
from orchestrator.store.store import Store

YAML = """\
name: used
store: {store}
data: {{name: digits, train_size: 100}}
students: {{models: resnet8, methods: [none], recipe: {{epochs: 2, batch_size: 32}}}}
tracking: {{enabled: false}}
"""


def test_cores_are_those_since_the_last_call():
    measure = Usage("cpu")
    until = time.process_time() + 0.2
    while time.process_time() < until:
        math.sqrt(2)
    busy = measure()["system/cpu_cores"]
    time.sleep(0.4)
    assert measure()["system/cpu_cores"] < busy / 2


def test_memory_is_told_where_the_system_tells_it(monkeypatch, tmp_path):
    assert 50 < Usage("cpu")()["system/memory_megabytes"] < 100_000
    monkeypatch.setattr(usage, "STATUS", tmp_path / "none")
    assert Usage("cpu")().keys() == {"system/cpu_cores"}


def test_on_request_every_epoch_has_it_and_nothing_else_changes(tmp_path):
    found = {}
    for asked in (False, True):
        file = tmp_path / f"{asked}.yaml"
        file.write_text(YAML.format(store=tmp_path / str(asked)))
        assert not run(file, executor="inline", overrides=[f"resources.system_metrics={asked}"]).failed
        [entry] = Store(tmp_path / str(asked)).entries("student")
        rows = HISTORY.read(entry).to_pylist()
        names = {(row["epoch"], row["name"]) for row in rows if row["name"].startswith("system/")}
        expected = {(epoch, f"system/{name}") for epoch in (1, 2) for name in ("cpu_cores", "memory_megabytes")}
        assert names == (expected if asked else set())
        model = {name: value.tolist() for name, value in MODEL.read(entry).items()}
        learnt = [(row["epoch"], row["name"], row["value"]) for row in rows if not row["name"].startswith("system/")]
        found[asked] = (entry.manifest["key"], model, learnt)
    assert found[True] == found[False]
