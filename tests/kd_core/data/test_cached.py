"""The cache of decoded images: the same bits as from files, made once, whole or not at all."""

import errno
import os
import threading

import numpy as np
import pytest
import torch
from PIL import Image

from kd_core.data import cached as module
from kd_core.data.cached import Mapped
from kd_core.data.decoded import Report
from kd_core.data.files import Files
from kd_core.data.load import load, verify
from kd_core.data.split import DataError, Split
from kd_core.data.table import DataConfig

CONFIG = DataConfig("image_folder", folder="beasts", size=8, classes=3, train_images=36, validation=0.25)


@pytest.fixture
def beasts(tmp_path):
    """Three classes, each of twelve training and four test images of several forms."""
    numbers = np.random.default_rng(0)
    for part, count in (("train", 12), ("test", 4)):
        for name in "abc":
            folder = tmp_path / "beasts" / part / name
            folder.mkdir(parents=True)
            for index in range(count):
                pixels = numbers.integers(0, 256, (9 + index % 3, 10, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{index:02}.{('png', 'jpg')[index % 2]}")
    return tmp_path


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def files_of(beasts, part="train"):
    paths = sorted((beasts / "beasts" / part).rglob("*.*"))
    return Files(tuple(map(str, paths)), torch.arange(len(paths)) % 3, 8)


def batches(images, *chunks):
    return [(some.images_NCHW, some.labels_N) for some in images.stream(torch.tensor(chunk) for chunk in chunks)]


def the_decodings(monkeypatch):
    """Every index that is decoded from here on."""
    decoded, decode = [], Files.decode_at

    def noted(self, index):
        decoded.append(self.paths[index])
        return decode(self, index)

    monkeypatch.setattr(Files, "decode_at", noted)
    return decoded


@pytest.mark.parametrize("memory_gib", [0, 4])
def test_every_split_is_what_it_is_without(beasts, cache, memory_gib):
    from_files, from_cache = (load(CONFIG, beasts, memory_gib=memory_gib, cache=place) for place in (None, cache))
    for name in ("train", "validation", "test"):
        one, other = getattr(from_files, name), getattr(from_cache, name)
        assert isinstance(other, Mapped if memory_gib == 0 else Split)
        every = range(len(one))
        for chunk in ([*every], [*every][::-2], [1, 1, 0]):
            [(images, labels)], [(cached_images, cached_labels)] = batches(one, chunk), batches(other, chunk)
            assert torch.equal(images, cached_images)
            assert torch.equal(labels, cached_labels)


def test_a_second_process_decodes_nothing(beasts, cache, monkeypatch):
    load(CONFIG, beasts, memory_gib=0, cache=cache)
    decoded = the_decodings(monkeypatch)
    splits = load(CONFIG, beasts, memory_gib=0, cache=cache)
    assert verify(CONFIG, beasts, memory_gib=0, cache=cache) == []
    batches(splits.train, [0, 5])
    assert decoded == []


def test_processes_that_ask_at_once_decode_once(beasts, cache, monkeypatch):
    decoded, files, found = the_decodings(monkeypatch), files_of(beasts), []
    threads = [threading.Thread(target=lambda: found.append(module.cached(files, cache, Report()))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(decoded) == sorted(files.paths)
    assert all(torch.equal(one.in_memory().images_NCHW, found[0].in_memory().images_NCHW) for one in found)


@pytest.mark.parametrize("killed_at", range(0, 36, 5))
def test_a_decoding_that_is_killed_goes_on_from_its_last_chunk(beasts, cache, monkeypatch, killed_at):
    monkeypatch.setattr(module, "CHUNK", 10)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    files, decode = files_of(beasts), Files.decode_at

    def until(self, index):
        if self.paths[index] == files.paths[killed_at]:
            raise KeyboardInterrupt
        return decode(self, index)

    with monkeypatch.context() as patched:
        patched.setattr(Files, "decode_at", until)
        with pytest.raises(KeyboardInterrupt):
            module.cached(files, cache, Report())
    assert not list(cache.glob("*.npy"))
    decoded = the_decodings(monkeypatch)
    whole = module.cached(files, cache, Report())
    assert decoded == [*files.paths[killed_at // 10 * 10 :]]
    assert torch.equal(whole.in_memory().images_NCHW, files.in_memory().images_NCHW)
    assert {path.suffix for path in cache.iterdir()} == {".npy", ".lock"}


@pytest.mark.parametrize("change", ["content", "name", "more"])
def test_other_files_are_decoded_again(beasts, cache, change):
    files = files_of(beasts)
    before = module.fingerprint(files)
    first = beasts / "beasts" / "train" / "a" / "00.png"
    if change == "content":
        Image.fromarray(np.zeros((9, 10, 3), dtype=np.uint8)).save(first)
    elif change == "name":
        first.rename(first.with_name("000.png"))
    else:
        os.link(first, first.with_name("zz.png"))
    assert module.fingerprint(files_of(beasts)) != before


def test_where_the_folder_lies_does_not_matter(beasts):
    before = module.fingerprint(files_of(beasts))
    (beasts / "beasts").rename(beasts / "moved")
    (beasts / "beasts").symlink_to(beasts / "moved")
    assert module.fingerprint(files_of(beasts)) == before


def test_another_size_is_another_file(beasts):
    files = files_of(beasts)
    assert module.fingerprint(files) != module.fingerprint(Files(files.paths, files.labels_N, 9))


def test_damaged_files_are_told_all_at_once_and_nothing_is_left(beasts, cache):
    bad = [beasts / "beasts" / "train" / name / "00.png" for name in "ac"]
    for path in bad:
        path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DataError) as told:
        load(CONFIG, beasts, cache=cache)
    assert all(str(path) in str(told.value) for path in bad)
    assert not [path for path in cache.iterdir() if path.suffix in (".part", ".done")]
    assert len(list(cache.glob("*.npy"))) == 1, "the test split, which is whole"


def test_a_full_disk_is_told_before_anything_is_decoded(beasts, cache, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    decoded = the_decodings(monkeypatch)
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(DataError, match=r"GiB left, and the decoded images take 0\.0; make room"):
        load(CONFIG, beasts, cache=cache)
    assert decoded == []


def test_a_cache_that_cannot_be_used_is_told(beasts, cache):
    cache.write_text("a file")
    with pytest.raises(DataError, match=r"the cache of decoded images: .*; see `data\.cache`"):
        load(CONFIG, beasts, cache=cache)


def test_a_file_that_was_cut_off_is_told(beasts, cache):
    module.cached(files_of(beasts), cache, Report())
    [whole] = cache.glob("*.npy")
    os.truncate(whole, 1000)
    with pytest.raises(DataError, match=r"the cache of decoded images: .*; see `data\.cache`"):
        module.cached(files_of(beasts), cache, Report())
