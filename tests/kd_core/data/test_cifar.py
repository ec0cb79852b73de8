"""torchvision's real loaders on small files in the published format, whose MD5 the loaders are told."""

import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from kd_core.data.cifar import cifar10, cifar100
from kd_core.data.load import load
from kd_core.data.split import DataError
from kd_core.data.table import DataConfig
from kd_core.vision import datasets
from tests.support.data_world import cifar, md5

READ = {"CIFAR10": partial(cifar10, DataConfig("cifar10")), "CIFAR100": partial(cifar100, DataConfig("cifar100"))}


@pytest.fixture(params=READ)
def published(request, tmp_path, monkeypatch):
    """A small data set of the given kind: its folder and archive, both as Toronto would publish them, and its arrays."""
    loader = getattr(datasets, request.param)
    made = cifar(loader, tmp_path / "published", monkeypatch)
    folder = tmp_path / "published" / loader.base_folder
    archive = folder.parent / loader.filename
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, loader.base_folder)
    monkeypatch.setattr(loader, "tgz_md5", md5(archive))
    monkeypatch.setattr(loader, "url", "http://127.0.0.1:9/nobody-listens")
    root = tmp_path / "root"
    root.mkdir()
    return SimpleNamespace(read=READ[request.param], loader=loader, folder=folder, archive=archive, root=root, made=made)


@pytest.fixture
def online(published, monkeypatch):
    """The archive at its address, on loopback."""
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    handler = partial(SimpleHTTPRequestHandler, directory=published.archive.parent)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setattr(published.loader, "url", f"http://127.0.0.1:{server.server_port}/{published.loader.filename}")
        yield published
        server.shutdown()
        thread.join()


def stacked(made, names):
    data = np.concatenate([made[name][0] for name, _ in names])
    return torch.from_numpy(data), [label for name, _ in names for label in made[name][1]]


def test_images_and_labels_are_those_of_the_files(published):
    source = published.read(published.folder.parent, False)
    for split, names in (source.train, published.loader.train_list), (source.test, published.loader.test_list):
        data, labels = stacked(published.made, names)
        # a row is 1,024 red values, then green, then blue, each row by row
        assert torch.equal(split.images_NCHW, data.view(-1, 3, 32, 32))
        assert split.labels_N.tolist() == labels
        assert split.images_NCHW.is_contiguous()


def test_absent(published):
    with pytest.raises(DataError) as caught:
        published.read(published.root, False)
    expected = (
        f"{published.loader.__name__} is not under {published.root}; run with data.download: true, "
        f"or put {published.loader.filename} into {published.root}"
    )
    assert str(caught.value) == expected
    with pytest.raises(DataError, match=r"run with data\.download: true"):
        published.read(published.root / "not made either", False)


def test_an_archive_that_lies_there_is_unpacked(published):
    (published.root / published.loader.filename).write_bytes(published.archive.read_bytes())
    assert len(published.read(published.root, False).test) > 0
    assert {path.name for path in published.root.iterdir()} == {published.loader.filename, published.loader.base_folder}


def test_it_is_downloaded_where_allowed_and_only_once(online):
    root = online.root / "made on the way"
    assert len(online.read(root, True).test) > 0
    assert [path.name for path in root.iterdir()] == [online.loader.base_folder]
    online.archive.unlink()
    assert len(online.read(root, True).test) > 0


def test_several_processes_may_unpack_at_once(online):
    with ThreadPoolExecutor(4) as pool:
        sources = list(pool.map(online.read, [online.root] * 4, [True] * 4))
    assert all(torch.equal(source.train.images_NCHW, sources[0].train.images_NCHW) for source in sources)
    assert [path.name for path in online.root.iterdir()] == [online.loader.base_folder]


def test_no_way_to_the_download(published, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(
        DataError, match=r"nobody-listens could not be downloaded .*; get cifar.* by other means and put it into"
    ):
        published.read(published.root, True)
    assert list(published.root.iterdir()) == []


def test_a_download_that_is_not_the_published_file(online):
    online.archive.write_bytes(b"captive portal")
    with pytest.raises(DataError, match="could not be downloaded"):
        online.read(online.root, True)
    assert list(online.root.iterdir()) == []


def test_a_damaged_archive(published):
    archive = published.root / published.loader.filename
    archive.write_bytes(published.archive.read_bytes()[:-1])
    with pytest.raises(DataError, match=rf"{archive} is not as published \(MD5\). Delete it; then run with"):
        published.read(published.root, True)


@pytest.mark.parametrize("damage", ["truncate", "remove"])
def test_damaged_files_are_named(published, damage):
    victims = [published.loader.test_list[0][0], published.loader.meta["filename"]]
    for name in victims:
        file = published.folder / name
        file.write_bytes(file.read_bytes()[:-1]) if damage == "truncate" else file.unlink()
    named = ", ".join(str(published.folder / name) for name in victims)
    with pytest.raises(DataError) as caught:
        published.read(published.folder.parent, False)
    assert str(caught.value).startswith(f"{named}: missing, or not as published (MD5). Delete {published.folder}; then run")


def test_the_files_become_splits(published):
    name = published.loader.__name__.lower()
    splits = load(DataConfig(name, validation=0.25), published.folder.parent)
    total = len(stacked(published.made, published.loader.train_list)[1])
    assert (len(splits.train), len(splits.validation)) == (total * 3 // 4, total // 4)
    assert len(set(splits.validation.labels_N.bincount().tolist())) == 1  # equal classes have equal shares
    assert splits.classes == len(splits.test.labels_N.unique())
    assert splits.augmentation.views == 162
