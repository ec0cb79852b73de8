"""What was hashed is what is run."""

from __future__ import annotations

import sys

import pytest

from kd_core.plugins import run
from kd_core.plugins.find import read
from kd_core.plugins.plugin import PluginError
from kd_core.plugins.run import load


@pytest.fixture(autouse=True)
def forget():
    """Modules of this test's packages, and what is known of them."""
    yield
    for name in [name for name in sys.modules if name.partition(".")[0].startswith("kd_test_package")]:
        del sys.modules[name]
    for top in [top for top in run._packages if top.startswith("kd_test_package")]:
        del run._packages[top]


def test_what_was_read_is_run_whatever_became_of_the_file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("value = 'read'")
    plugin = read("mine.py", [tmp_path])
    path.write_text("value = 'edited'")
    assert load(plugin).value == "read"
    assert load(read("mine.py", [tmp_path])).value == "edited"
    assert load(plugin).value == "read", "two versions stand side by side"


def test_it_is_run_once(tmp_path):
    (tmp_path / "mine.py").write_text("import random\nvalue = random.random()")
    assert load(read("mine.py", [tmp_path])) is load(read("mine.py", [tmp_path]))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a = 1\nb = (\n", "mine.py:2: '(' was never closed"),
        ("a = 1\n\nb = unknown\n", "mine.py:3: NameError: name 'unknown' is not defined"),
        ("def f():\n    return {}['k']\n\nf()\n", "mine.py:2: KeyError: 'k'"),
        ("import json\n\njson.loads('{')\n", "mine.py:3: JSONDecodeError"),
        ("import sys\nsys.exit(3)\n", "mine.py:2: SystemExit: 3"),
        ("import no_such_thing\n", "mine.py:1: ModuleNotFoundError: No module named 'no_such_thing'"),
    ],
)
def test_its_own_error_is_told_with_its_line(tmp_path, text, told):
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(PluginError) as caught:
        load(read("mine.py", [tmp_path]))
    assert str(caught.value).startswith(told)
    assert caught.value.__cause__ is None


def test_a_second_version_of_a_package_is_refused_in_one_process(tmp_path):
    """As in a worker that is used again: it must not run the version that it has in memory."""
    for version in ("one", "two"):
        folder = tmp_path / version / "kd_test_package_a"
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text(f"value = {version!r}")
    assert load(read("kd_test_package_a", [tmp_path / "one"])).value == "one"
    with pytest.raises(PluginError, match="another version of kd_test_package_a is in this process; begin a new one"):
        load(read("kd_test_package_a", [tmp_path / "two"]))
    assert load(read("kd_test_package_a", [tmp_path / "one"])).value == "one"


def test_a_module_of_the_same_name_from_elsewhere_is_not_taken_for_it(tmp_path, monkeypatch):
    for version in ("one", "two"):
        folder = tmp_path / version / "kd_test_package_b"
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text(f"value = {version!r}")
    monkeypatch.syspath_prepend(tmp_path / "one")
    __import__("kd_test_package_b")
    with pytest.raises(PluginError, match="another module of that name is in this process"):
        load(read("kd_test_package_b", [tmp_path / "two"]))


def test_its_modules_import_each_other(tmp_path):
    folder = tmp_path / "kd_test_package_c"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "helper.py").write_text("value = 3")
    (folder / "kd.py").write_text("from kd_test_package_c.helper import value\n")
    path = list(sys.path)
    assert load(read("kd_test_package_c.kd", [tmp_path])).value == 3
    assert sys.path == path
