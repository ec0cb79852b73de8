"""Images on disk: that streaming and holding them give the same bits, and what is said of files that are no images."""

import re
import struct
import threading
import warnings
import zlib
from dataclasses import replace

import pytest
import torch
from PIL import Image

from kd_core.data.batches import epoch_batches, plain_batches
from kd_core.data.cached import fingerprint
from kd_core.data.decoded import AHEAD, fit
from kd_core.data.files import Files, decoded, seen
from kd_core.data.load import load, verify
from kd_core.data.split import DataError, Split
from kd_core.data.table import DataConfig
from orchestrator.planning.plan import written
from tests.support.data_world import folder, pixels

CONFIG = DataConfig("image_folder", folder="beasts", size=16, classes=3, train_images=24, validation=0.25, label_noise=0.2)


@pytest.fixture
def beasts(tmp_path):
    folder(tmp_path)
    return tmp_path


def files(folder, size=16, published=None):
    paths = sorted(str(path) for path in folder.rglob("*") if path.is_file())
    return Files(tuple(paths), torch.arange(len(paths)), size, published)


def same(ours, theirs):
    for one, other in zip(ours, theirs, strict=True):
        for field in ("images_BCHW", "labels_B", "indices_B", "views_B"):
            assert torch.equal(getattr(one, field), getattr(other, field)), field
        assert one.epoch == other.epoch


@pytest.mark.parametrize("batch_size", [4, 5, 64])
def test_streamed_batches_are_those_from_memory(beasts, batch_size):
    held, streamed = load(CONFIG, beasts), load(CONFIG, beasts, memory_gib=0)
    assert isinstance(held.train, Split)
    assert isinstance(streamed.train, Files)
    assert held.image == streamed.image == (3, 16, 16)
    for epoch in (0, 3):
        same(*(epoch_batches(splits, batch_size, seed=7, epoch=epoch, device="cpu") for splits in (held, streamed)))
    for part in ("train", "validation", "test"):
        same(*(plain_batches(splits, part, "cpu", batch_size) for splits in (held, streamed)))


def test_the_limit_is_on_what_a_job_sees(beasts):
    """18 training, 6 validation and 12 test images of 3 · 16 · 16 bytes; with 3 training images, 21 in all."""
    each = 3 * 16 * 16 / 2**30
    assert isinstance(load(CONFIG, beasts, memory_gib=36 * each).train, Split)
    assert isinstance(load(CONFIG, beasts, memory_gib=35.9 * each).test, Files)
    few = DataConfig("image_folder", folder="beasts", size=16, classes=3, train_images=24, validation=0.25, train_size=3)
    assert isinstance(load(few, beasts, memory_gib=21 * each).train, Split)


def test_only_a_few_batches_are_decoded_ahead(beasts, monkeypatch):
    opened, decode = [], Files.decode_at

    def counted(self, index):
        opened.append(index)
        return decode(self, index)

    monkeypatch.setattr(Files, "decode_at", counted)
    batches = plain_batches(load(CONFIG, beasts, memory_gib=0), "train", "cpu", batch_size=2)
    next(batches)
    assert 2 <= len(opened) <= 2 * (AHEAD + 1)
    threads = threading.active_count()
    batches.close()  # as where training fails
    assert threading.active_count() < threads


def test_an_image_is_scaled_by_its_shorter_side_and_its_middle_taken():
    tall = torch.zeros(3, 8, 4, dtype=torch.uint8)
    tall[:, 2:6] = 200
    assert fit(tall, 4).unique().tolist() == [200]
    assert fit(tall, 2).shape == (3, 2, 2)
    image = Image.fromarray(pixels(0, 8, 8))
    assert fit(image, 8).tobytes() == image.tobytes()


def test_every_kind_of_image_comes_out_as_rgb(tmp_path):
    red = Image.new("RGB", (2, 2), (255, 0, 0))
    for name, mode in (("a.png", "RGB"), ("b.png", "P"), ("c.png", "RGBA"), ("d.png", "L"), ("e.png", "1"), ("f.tif", "CMYK")):
        red.convert(mode).save(tmp_path / name)
    images = files(tmp_path, size=2).in_memory().images_NCHW
    assert [image[:, 0, 0].tolist() for image in images[:4]] == [[255, 0, 0]] * 3 + [[76] * 3]  # 0.299 · 255
    assert images[5][:, 0, 0].tolist() == [255, 0, 0]


def turned(path, orientation, **save):
    """Saves red above blue, which a camera held otherwise has stored with that orientation of EXIF's."""
    image = Image.new("RGB", (16, 16), (255, 0, 0))
    image.paste((0, 0, 255), (0, 8, 16, 16))
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # PIL's transposition that EXIF's undoes: ROTATE_90 for 6, and so on
    exif = Image.Exif()
    exif[0x0112] = orientation
    (image.transpose(Image.Transpose(back[orientation])) if orientation > 1 else image).save(path, exif=exif, **save)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photograph_stands_as_its_exif_says(tmp_path, name, orientation):
    turned(tmp_path / name, orientation, **({"lossless": True} if name == "a.webp" else {}))
    up = decoded(str(tmp_path / name), 16, upright=True)
    for row, colour in ((2, [255, 0, 0]), (13, [0, 0, 255])):
        assert up[:, row, 8].tolist() == pytest.approx(colour, abs=9)
    if orientation > 4 and name != "a.tif":  # which PIL turns by itself
        stored = decoded(str(tmp_path / name), 16)
        assert stored[0, 8, [2, 13]].sort().values.tolist() == pytest.approx([0, 255], abs=9)  # red beside blue


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB", "L"])
def test_what_is_transparent_lies_on_white(tmp_path, mode):
    """Black that is hidden under opacity 0, or by a transparent colour; half-transparent black is grey."""
    image = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    image.putpixel((1, 0), (0, 0, 0, 255 if mode in ("P", "RGB", "L") else 128))
    if mode in ("RGBA", "LA"):
        image.convert(mode).save(tmp_path / "a.png")
    elif mode == "P":
        indexed = Image.new("P", (2, 1))
        indexed.putpalette([0, 0, 0, 0, 0, 0])
        indexed.putpixel((1, 0), 1)
        indexed.save(tmp_path / "a.png", transparency=0)
    else:
        plain = Image.new(mode, (2, 1))
        plain.putpixel((1, 0), (0, 0, 1) if mode == "RGB" else 1)
        plain.save(tmp_path / "a.png", transparency=(0, 0, 0) if mode == "RGB" else 0)
    with Image.open(tmp_path / "a.png") as opened:
        shown = seen(opened).convert("RGB")
    assert shown.getpixel((0, 0)) == (255, 255, 255)
    assert max(shown.getpixel((1, 0))) == (127 if mode in ("RGBA", "LA") else 1 if mode in ("RGB", "L") else 0)


def test_a_folder_s_images_stand_upright_unless_it_says_otherwise(beasts):
    victim = beasts / "beasts" / "train" / "class 0" / "01.jpg"
    turned(victim, 6)
    found = load(CONFIG, beasts, memory_gib=0)
    assert found.train.upright
    as_stored = load(replace(CONFIG, upright=False), beasts, memory_gib=0)
    assert not as_stored.train.upright
    assert fingerprint(found.train) != fingerprint(as_stored.train)
    assert written(CONFIG)["upright"] is True


def damage(file, kind):
    match kind:
        case "cut":
            file.write_bytes(file.read_bytes()[:-200])
        case "empty":
            file.write_bytes(b"")
        case "a page":
            file.write_text("<html>404 Not Found</html>")
        case "16 bits":
            Image.new("I;16", (16, 16)).save(file, "PNG")
        case "gone":
            file.unlink()


@pytest.mark.parametrize("kind", ["cut", "empty", "a page", "16 bits"])
@pytest.mark.parametrize("name", ["00.png", "01.jpg"])
def test_damaged_files_are_named_before_any_training(beasts, kind, name):
    victim = beasts / "beasts" / "train" / "class 1" / name
    damage(victim, kind)
    with pytest.raises(DataError, match=re.escape(str(victim))):
        load(CONFIG, beasts)
    if kind != "cut":  # its header is whole
        with pytest.raises(DataError, match=re.escape(str(victim))):
            verify(CONFIG, beasts, memory_gib=0)


@pytest.mark.parametrize("memory_gib", [4, 0])
def test_damaged_files_of_all_splits_are_told_at_once(beasts, memory_gib):
    victims = [beasts / "beasts" / split / "class 1" / "00.png" for split in ("train", "test")]
    victims.append(beasts / "beasts" / "train" / "class 2" / "01.jpg")
    for victim in victims:
        damage(victim, "a page")
    with pytest.raises(DataError) as caught:
        verify(CONFIG, beasts, memory_gib=memory_gib)
    said = str(caught.value).splitlines()
    assert len(said) == 3
    assert all(any(line.startswith(str(victim)) for line in said) for victim in victims)


def deep_png(channels):
    """A PNG of 16 bits a channel, 2×2: PIL writes none of several channels."""
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = b"".join(b"\0" + struct.pack(f">{2 * channels}H", *[40_000] * (2 * channels)) for _ in range(2))
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 16, colour, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    whole = (struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(whole)


def deep_tiff(endian):
    """A TIFF of three channels of 16 bits, 2×2, in either order of bytes (TIFF 6.0, section 2)."""
    data = struct.pack(f"{endian}12H", *[40_000] * 12)
    fields = [(256, 2), (257, 2), (258, None), (259, 1), (262, 2), (273, None), (277, 3), (278, 2), (279, len(data))]
    begin = 8 + 2 + 12 * len(fields) + 4  # of the three numbers of bits, and then the pixels
    entries = b""
    for tag, value in fields:
        count, place = (3, begin) if tag == 258 else (1, begin + 6 if tag == 273 else value)
        short = tag not in (258, 273, 279)
        entries += struct.pack(f"{endian}HHI", tag, 4 if tag in (273, 279) else 3, count)
        entries += struct.pack(f"{endian}HH", place, 0) if short else struct.pack(f"{endian}I", place)
    head = (b"II*\0" if endian == "<" else b"MM\0*") + struct.pack(f"{endian}IH", 8, len(fields))
    return head + entries + bytes(4) + struct.pack(f"{endian}HHH", 16, 16, 16) + data


DEEP = {f"{channels} channels.png": deep_png(channels) for channels in (1, 2, 3, 4)}
DEEP |= {"little.tif": deep_tiff("<"), "big.tif": deep_tiff(">")}
DEEP |= {"colour.ppm": b"P6 2 2 65535\n" + b"\x9c\x40" * 12, "gray.pgm": b"P5 2 2 65535\n" + b"\x9c\x40" * 4}


@pytest.mark.parametrize("name", DEEP)
def test_more_than_8_bits_a_channel_are_refused(tmp_path, name):
    file = tmp_path / name
    file.write_bytes(DEEP[name])
    with Image.open(file) as image:
        image.load()  # it is a file that PIL reads
    for use in (Files.verify, Files.in_memory):
        with pytest.raises(DataError, match=r"has more than 8 bits a channel .*; convert it"):
            use(Files((str(file),), torch.tensor([0]), 2))


def test_what_pil_warns_of_is_a_note_with_the_name(beasts, monkeypatch):
    """Images of many pixels, one of many things that PIL has to say."""
    victims = [beasts / "beasts" / split / "class 1" / "00.png" for split in ("train", "test")]
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    for victim in victims:
        Image.new("RGB", (40, 40)).save(victim)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        [said] = verify(CONFIG, beasts)
    assert said.startswith(f"{min(map(str, victims))} and 1 more: Image size (1600 pixels) exceeds limit")


@pytest.mark.parametrize("kind", ["cut", "gone"])
def test_a_file_that_is_damaged_later_is_named_when_it_is_decoded(beasts, kind):
    splits = load(CONFIG, beasts, memory_gib=0)
    verify(CONFIG, beasts, memory_gib=0)
    victim = splits.train.paths[5]
    damage(beasts / victim, kind)
    with pytest.raises(DataError, match=rf"{re.escape(victim)} cannot be read as an image \(.+\); replace or remove it"):
        list(epoch_batches(splits, 4, seed=0, epoch=0, device="cpu"))


def test_of_many_damaged_files_some_are_named_and_all_counted(beasts):
    for file in (beasts / "beasts" / "train" / "class 0").iterdir():
        damage(file, "a page")
    with pytest.raises(DataError) as caught:
        files(beasts / "beasts" / "train").verify()
    *named, more = str(caught.value).splitlines()
    assert len(named) == 5
    assert more == "and 3 more like these"


def test_files_of_another_than_the_published_size(beasts):
    with pytest.raises(DataError, match=r"02\.png is 22×26, not 16×16"):
        files(beasts / "beasts" / "test" / "class 0", published=16).verify()
