"""Folders of images by class: how they are read, and what is said of those that are not as they should be."""

import dataclasses
import re
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from kd_core.data import folder as module
from kd_core.data.folder import image_folder, tiny_imagenet
from kd_core.data.split import DataError
from kd_core.data.table import DataConfig
from tests.support.data_world import folder, md5, pixels, tiny

CONFIG = DataConfig("image_folder", folder="beasts", size=16, classes=3, train_images=24).resolved()
TINY = DataConfig("tiny_imagenet").resolved()


def test_classes_and_files_are_in_the_order_of_their_names(tmp_path):
    beasts = folder(tmp_path)
    (beasts / "train" / "class 0" / ".DS_Store").touch()
    source = image_folder(CONFIG, tmp_path, False)
    expected = [str(path) for path in sorted((beasts / "train").rglob("[0-9]*"))]
    assert list(source.train.paths) == expected
    assert source.train.labels_N.tolist() == [0] * 8 + [1] * 8 + [2] * 8
    assert source.test.labels_N.tolist() == [0] * 4 + [1] * 4 + [2] * 4


def test_val_is_the_test_split_where_there_is_no_other(tmp_path):
    beasts = folder(tmp_path, test_name="val")
    assert all("/val/" in path for path in image_folder(CONFIG, tmp_path, False).test.paths)
    shutil.copytree(beasts / "val", beasts / "test")
    assert all("/test/" in path for path in image_folder(CONFIG, tmp_path, False).test.paths)


def note(beasts):
    (beasts / "train" / "class 1" / "notes.txt").touch()


def nested(beasts):
    (beasts / "test" / "class 1" / "more.png").mkdir()


def loose(beasts):
    (beasts / "test" / "00.png").touch()


def dead_link(beasts):
    (beasts / "train" / "class 1" / "zz.png").symlink_to("/nowhere/zz.png")


def dead_folder(beasts):
    (beasts / "test" / "class 9").symlink_to("/nowhere")


def emptied(beasts):
    shutil.rmtree(beasts / "train" / "class 2")
    (beasts / "train" / "class 2").mkdir()


def one_less(beasts):
    shutil.rmtree(beasts / "test" / "class 2")


def one_more(beasts):
    shutil.copytree(beasts / "test" / "class 2", beasts / "test" / "class 3")


def fewer(beasts):
    (beasts / "train" / "class 2" / "00.png").unlink()


def unlabelled(beasts):
    shutil.rmtree(beasts / "test")
    (beasts / "test").mkdir()


WRONG = {
    note: "BEASTS/train/class 1/notes.txt is no image (.bmp, .jpeg, .jpg, .pgm, .png, .ppm, .tif, .tiff, .webp); move",
    nested: "BEASTS/test/class 1/more.png is a folder, but images lie in their class's folder itself",
    loose: "BEASTS/test/00.png is no folder of a class; move it elsewhere",
    dead_link: "BEASTS/train/class 1/zz.png is a dead link, to /nowhere/zz.png; mend or remove it",
    dead_folder: "BEASTS/test/class 9 is a dead link, to /nowhere; mend or remove it",
    emptied: "BEASTS/train/class 2 holds no image; put some there or remove it",
    one_less: "class class 2 is in BEASTS/train, but not in BEASTS/test",
    one_more: "class class 3 is in BEASTS/test, but not in BEASTS/train",
    fewer: "BEASTS holds 23 training images of 3 classes, but image_folder is said to have `train_images` 24 and `classes` 3",
    unlabelled: "BEASTS/test holds no folders of classes",
    lambda beasts: shutil.rmtree(beasts / "train"): "BEASTS must hold train/<class>/ and test/<class>/",
    lambda beasts: shutil.rmtree(beasts / "test"): "BEASTS must hold train/<class>/ and test/<class>/ (or val/<class>/)",
    lambda beasts: shutil.rmtree(beasts): "BEASTS must hold train/<class>/",
}


@pytest.mark.parametrize("harm", WRONG, ids=lambda harm: harm.__name__)
def test_what_is_wrong_is_named(tmp_path, harm):
    beasts = folder(tmp_path)
    harm(beasts)
    with pytest.raises(DataError) as caught:
        image_folder(CONFIG, tmp_path, False)
    assert str(caught.value).startswith(WRONG[harm].replace("BEASTS", str(beasts)))


def test_all_that_is_wrong_in_both_splits_is_told_at_once(tmp_path):
    beasts = folder(tmp_path)
    for harm in (note, nested, loose, dead_link):
        harm(beasts)
    with pytest.raises(DataError) as caught:
        image_folder(CONFIG, tmp_path, False)
    assert len(str(caught.value).splitlines()) == 4


@pytest.mark.parametrize("name", ["Thumbs.db", "desktop.ini", "ehthumbs.db", "Icon\r", "__MACOSX", "$RECYCLE.BIN"])
def test_what_desktops_leave_is_passed_over_with_a_note(tmp_path, name):
    beasts = folder(tmp_path)
    plain = image_folder(CONFIG, tmp_path, False)
    for place in (beasts / "train", beasts / "train" / "class 0", beasts / "test"):
        (place / name).mkdir() if name in ("__MACOSX", "$RECYCLE.BIN") else (place / name).touch()
    source = image_folder(CONFIG, tmp_path, False)
    assert (source.train.paths, source.test.paths) == (plain.train.paths, plain.test.paths)
    first = min(str(beasts / "train" / name), str(beasts / "train" / "class 0" / name))
    [said] = source.notes
    assert said in {
        f"passed over, since desktops leave such files: {found} and 2 more" for found in (first, str(beasts / "train" / name))
    }
    assert plain.notes == ()


def test_tiny_imagenet_by_its_annotations(tmp_path, monkeypatch):
    root = tiny(tmp_path, monkeypatch)
    source = tiny_imagenet(TINY, tmp_path, False)
    wnids = sorted((root / "wnids.txt").read_text().split())
    assert {
        (Path(path).parts[-3], label) for path, label in zip(source.train.paths, source.train.labels_N.tolist(), strict=True)
    } == {(wnid, label) for label, wnid in enumerate(wnids)}
    assert len(source.train) == 24
    annotated = dict(line.split("\t")[:2] for line in (root / "val" / "val_annotations.txt").read_text().splitlines())
    found = {
        Path(path).name: wnids[label] for path, label in zip(source.test.paths, source.test.labels_N.tolist(), strict=True)
    }
    assert found == annotated
    first = Image.open(source.test.paths[0]).convert("RGB")
    assert source.test.in_memory().images_NCHW[0].permute(1, 2, 0).numpy().tobytes() == first.tobytes()


def test_tiny_imagenet_at_another_size(tmp_path, monkeypatch):
    tiny(tmp_path, monkeypatch)
    small = tiny_imagenet(DataConfig("tiny_imagenet", size=32).resolved(), tmp_path, False)
    assert small.train.in_memory().images_NCHW.shape == (24, 3, 32, 32)


def unannotated(root):
    file = root / "val" / "val_annotations.txt"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[1:]))


def torn(root):
    file = root / "val" / "val_annotations.txt"
    file.write_text(file.read_text() + "val_99")


def other_size(root):
    Image.fromarray(pixels(0, 32, 64)).save(root / "val" / "images" / "val_3.JPEG", "JPEG")


TINY_WRONG = {
    unannotated: "ROOT/val/images/val_0.JPEG is not both in the folder and in val_annotations.txt",
    torn: "ROOT/val/val_annotations.txt: line 13 names no file and class",
    lambda root: (root / "val" / "images" / "val_3.JPEG").unlink(): "ROOT/val/images/val_3.JPEG is not both in",
    lambda root: (root / "val" / "val_annotations.txt").unlink(): "[Errno 2] No such file or directory: 'ROOT/val/val_ann",
    lambda root: shutil.rmtree(root / "train" / "n9999999"): "class n9999999 is in ROOT/val, but not in ROOT/train",
    lambda root: shutil.rmtree(root / "train"): "[Errno 2] No such file or directory: 'ROOT/train'",
    lambda root: (root / "train" / "n9999999" / "images" / "n9999999_0.JPEG").unlink(): "ROOT holds 23 training images of 3",
}


@pytest.mark.parametrize("harm", TINY_WRONG, ids=lambda harm: harm.__name__)
def test_what_is_wrong_with_tiny_imagenet_is_named_with_the_remedy(tmp_path, monkeypatch, harm):
    root = tiny(tmp_path, monkeypatch)
    harm(root)
    with pytest.raises(DataError) as caught:
        tiny_imagenet(TINY, tmp_path, False)
    assert str(caught.value).startswith(TINY_WRONG[harm].replace("ROOT", str(root)))
    assert str(caught.value).endswith(
        f"delete {root}; then run with data.download: true, or put tiny-imagenet-200.zip into {tmp_path}"
    )


def test_a_tiny_image_of_another_size(tmp_path, monkeypatch):
    root = tiny(tmp_path, monkeypatch)
    other_size(root)
    with pytest.raises(DataError, match=r"val_3.JPEG is 64×32, not 64×64; it is not the published one"):
        tiny_imagenet(TINY, tmp_path, False).test.in_memory()


def test_tiny_imagenet_out_of_its_archive(tmp_path, monkeypatch):
    root = tiny(tmp_path / "published", monkeypatch)
    archive = shutil.make_archive(str(tmp_path / "tiny-imagenet-200"), "zip", root.parent, root.name)
    with pytest.raises(DataError, match=r"tiny-imagenet-200.zip is not as published \(MD5\)"):
        tiny_imagenet(TINY, tmp_path, False)
    monkeypatch.setattr(module, "TINY", dataclasses.replace(module.TINY, md5=md5(Path(archive))))
    held = tiny_imagenet(TINY, tmp_path, False).train.in_memory()
    assert torch.equal(held.images_NCHW, tiny_imagenet(TINY, tmp_path / "published", False).train.in_memory().images_NCHW)
    with pytest.raises(DataError, match=re.escape(f"Tiny ImageNet is not under {tmp_path / 'none'}; run with data.download")):
        tiny_imagenet(TINY, tmp_path / "none", False)
