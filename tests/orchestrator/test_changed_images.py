"""A folder of images whose content changed under its name: said in every run, whatever is done."""

from __future__ import annotations

import shutil

import pytest

from kd_core.data.listing import listing
from orchestrator.driver import run
from orchestrator.experiment.load import load
from orchestrator.readiness import changed_images
from orchestrator.store.store import Store
from tests.support.data_world import folder

YAML = """\
name: beasts
store: {root}/store
data: {{name: image_folder, root: {root}, folder: beasts, size: 16, classes: 3, train_images: 24, validation: 0.25}}
teachers: {{models: [resnet8], recipe: {{epochs: 1}}}}
probes: false
tracking: {{enabled: false}}
"""


@pytest.fixture
def beasts(tmp_path):
    folder(tmp_path)
    (tmp_path / "x.yaml").write_text(YAML.format(root=tmp_path))
    return tmp_path / "x.yaml"


def test_another_image_of_the_same_name_is_noticed_where_there_is_nothing_to_do(beasts):
    assert run(beasts, executor="inline").notes == ()
    assert run(beasts, executor="inline").notes == ()
    victim = next((beasts.parent / "beasts" / "train" / "class 1").iterdir())
    victim.write_bytes(victim.read_bytes() + b"more")
    for _ in range(2):
        outcome = run(beasts, executor="inline")
        [note] = outcome.notes
        assert outcome.computed == 0
        assert f"{beasts.parent}/beasts holds other images than on " in note
        assert "36 then, 36 now" in note
    shutil.copytree(beasts.parent / "beasts", beasts.parent / "others")
    renamed = run(beasts, executor="inline", overrides=["data.folder=others"])
    assert (renamed.notes, renamed.computed) == ((), 1)


@pytest.mark.parametrize("change", ["renamed", "removed", "added", "hidden", "copied"])
def test_what_counts_as_a_change(beasts, change):
    spec, store = load(beasts), Store(beasts.parent / "store")
    assert changed_images(spec, store) == []
    place = beasts.parent / "beasts" / "test" / "class 0"
    first = sorted(place.iterdir())[0]
    match change:
        case "renamed":
            first.rename(place / "zz.png")
        case "removed":
            first.unlink()
        case "added":
            shutil.copy(first, place / "zz.png")
        case "hidden":
            (place / ".DS_Store").touch()
        case "copied":
            shutil.move(beasts.parent / "beasts", beasts.parent / "before")
            shutil.copytree(beasts.parent / "before", beasts.parent / "beasts", copy_function=shutil.copyfile)
    assert bool(changed_images(spec, store)) == (change in ("renamed", "removed", "added"))


def test_a_folder_that_is_not_there_is_for_others_to_name(beasts):
    shutil.rmtree(beasts.parent / "beasts")
    assert changed_images(load(beasts), Store(beasts.parent / "store")) == []


def test_a_listing_is_of_names_and_sizes(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one").write_bytes(b"12")
    digest, count = listing(tmp_path)
    (tmp_path / "a" / "one").write_bytes(b"34")
    assert listing(tmp_path) == (digest, count) == (digest, 1)
    (tmp_path / "a" / "one").write_bytes(b"345")
    assert listing(tmp_path)[0] != digest
