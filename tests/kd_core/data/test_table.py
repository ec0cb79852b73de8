"""The knobs of data sets: what each takes, and what follows from them without opening anything."""

import pytest

from kd_core.data.table import DATASETS, DataConfig

FOLDER = {"folder": "beasts", "size": 64, "classes": 3, "train_images": 90}


def config(name, **knobs):
    return DataConfig(name, **(FOLDER if name == "image_folder" else {}) | knobs)


@pytest.mark.parametrize("name", DATASETS)
def test_own_knobs_are_knobs_and_those_of_others_are_refused(name):
    theirs = {knob for info in DATASETS.values() for knob in info.own} - {"size"}
    values = {"folder": "beasts", "difficulty": 0.25}
    assert theirs < vars(DataConfig()).keys()
    for knob in theirs:
        if knob in DATASETS[name].own:
            assert getattr(config(name, **{knob: values.get(knob, 7)}), knob) == values.get(knob, 7)
        else:
            with pytest.raises(ValueError, match=rf"`{knob}` is for .*, not for {name}"):
                config(name, **{knob: values.get(knob, 7)})


@pytest.mark.parametrize("name", DATASETS)
def test_a_resolved_config_is_whole_and_holds_nothing_of_other_data_sets(name):
    resolved = config(name).resolved()
    assert resolved == resolved.resolved()
    unset = {knob for knob, value in vars(resolved).items() if value is None}
    theirs = {knob for info in DATASETS.values() for knob in info.own}
    assert unset == (theirs - DATASETS[name].own.keys() - {"size"}) | {"train_size", "draws"}
    assert config(name).info == resolved.info
    assert config(name).views == resolved.views


@pytest.mark.parametrize(
    ("name", "size", "padding"), [("digits", 8, 1), ("cifar10", 32, 4), ("tiny_imagenet", 64, 8), ("stl10", 96, 12)]
)
def test_the_usual_padding_is_an_eighth(name, size, padding):
    assert (config(name).info.size, config(name).resolved().padding) == (size, padding)
    assert config(name, size=16).resolved().padding == 2
    assert config(name, size=16, padding=0).resolved().padding == 0


def test_what_is_stated_of_a_data_set_is_known():
    made = DataConfig("synthetic", classes=7, train_images=1000, size=16)
    assert (made.info.classes, made.info.train, made.info.size, made.images) == (7, 1000, 16, 900)
    assert made.views == 25 * 2  # padding 2, flipped
    assert (config("image_folder").info.classes, config("image_folder").images) == (3, 81)


def test_all_that_a_folder_needs_is_said_at_once():
    with pytest.raises(ValueError) as caught:
        DataConfig("image_folder", classes=3)
    assert str(caught.value).split("; ") == [
        f"`{knob}` must be given for image_folder" for knob in ("size", "train_images", "folder")
    ]


@pytest.mark.parametrize("folder", ["/data/beasts", "../beasts", "beasts/../..", "", "."])
def test_a_folder_does_not_leave_the_root(folder):
    with pytest.raises(ValueError, match="`folder` must be a path under root, but got"):
        config("image_folder", folder=folder)
    assert config("image_folder", folder="vision/beasts").folder == "vision/beasts"
