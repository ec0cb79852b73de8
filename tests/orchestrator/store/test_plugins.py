"""Plugins in a store, wherever it is: what is kept comes back byte for byte; what is damaged is not run, and is kept again."""

from __future__ import annotations

import pytest

from kd_core.methods.table import METHODS
from kd_core.plugins.plugin import Plugin
from kd_core.plugins.tables import in_force, use
from orchestrator.store.errors import CorruptEntry
from orchestrator.store.plugins import keep, kept, use_stated
from orchestrator.store.store import Store
from tests.support.plugin_files import METHOD

FILE = Plugin("mine.py", "mine.py", {"mine.py": METHOD.encode()})
PACKAGE = Plugin(
    "one_package.kd",
    "one_package/kd.py",
    {
        "one_package/__init__.py": b"",
        "one_package/inner.py": METHOD.encode(),
        "one_package/kd.py": b"from one_package.inner import METHODS\n",
    },
)


@pytest.fixture(autouse=True)
def ours_alone():
    yield
    use([])


def contents(store, plugin):
    folder = f"plugins/{plugin.sha256}"
    return {
        f"{folder}/plugin.json": store.backend.read(f"{folder}/plugin.json"),
        **{f"{folder}/files/{path}": store.backend.read(f"{folder}/files/{path}") for path in plugin.files},
    }


@pytest.mark.parametrize("plugin", [FILE, PACKAGE], ids=["file", "package"])
def test_what_is_kept_comes_back(store, plugin):
    with pytest.raises(CorruptEntry, match=f"{plugin.sha256}: the plugin {plugin.name} is not whole"):
        kept(plugin.name, plugin.sha256, store)
    keep(plugin, store)
    found = kept(plugin.name, plugin.sha256, Store(store.location))
    assert (found.name, found.entry, found.files) == (plugin.name, plugin.entry, plugin.files)
    with open(found.at, "rb") as file:  # whoever follows a traceback finds what was run
        assert file.read() == plugin.files[plugin.entry]


@pytest.mark.parametrize("plugin", [FILE, PACKAGE], ids=["file", "package"])
def test_every_damage_is_refused_and_mended_by_the_next_driver(store, plugin):
    keep(plugin, store)
    sound = contents(store, plugin)
    for name, content in sound.items():
        for damaged in {None, content[:-1], content + b"# more"} - {content}:
            store.backend.remove(name) if damaged is None else store.backend.write(name, damaged)
            with pytest.raises(CorruptEntry, match=plugin.sha256):
                kept(plugin.name, plugin.sha256, store)
            keep(plugin, store)
            assert contents(store, plugin) == sound


def test_a_copy_in_the_cache_that_was_changed_is_replaced(s3):
    store = Store(s3.uri())
    keep(FILE, store)
    at = kept("mine.py", FILE.sha256, store).at
    with open(at, "w") as file:
        file.write("METHODS = {}")
    assert kept("mine.py", FILE.sha256, store).at == at
    with open(at) as file:
        assert file.read() == METHOD


def test_what_a_job_states_is_in_force_and_is_not_read_twice(store, monkeypatch):
    keep(FILE, store)
    config = {"plugins": {"mine.py": FILE.sha256}}
    use_stated(config, store)
    assert "mine" in METHODS
    assert [plugin.sha256 for plugin in in_force()] == [FILE.sha256]
    monkeypatch.setattr("orchestrator.store.plugins.kept", None)
    use_stated(config, store)
    use_stated({}, store)
    assert "mine" in METHODS


def test_another_version_takes_the_place_of_the_first(store):
    other = Plugin("mine.py", "mine.py", {"mine.py": METHOD.replace("0.5", "0.6").encode()})
    for plugin, weight in ((FILE, 0.5), (other, 0.6), (FILE, 0.5)):
        keep(plugin, store)
        use_stated({"plugins": {"mine.py": plugin.sha256}}, store)
        assert METHODS["mine"].Config().weight == weight
