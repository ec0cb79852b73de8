"""Small data sets in the formats in which the real ones are published, and a config for each."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import json
import pickle
import struct

import numpy as np
import scipy.io
from PIL import Image

from kd_core.data import stl10
from kd_core.data.table import DATASETS, DataConfig
from kd_core.vision import datasets


def md5(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


def pixels(seed, height=64, width=64):
    """Smooth noise, of which JPEG leaves much."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height)))


def cifar(loader, root, monkeypatch):
    """Pickled batches and their list of classes; returns (data, labels) of each file. The loader is told their MD5."""
    classes = 10 if loader is datasets.CIFAR10 else 100
    rng, made = np.random.default_rng(0), {}
    folder = root / loader.base_folder
    folder.mkdir(parents=True)

    def write(name, content):
        (folder / name).write_bytes(pickle.dumps(content, protocol=2))
        return md5(folder / name)

    def batches(names, each):
        listed = []
        for name, _ in names:
            data = rng.integers(0, 256, (each, 3072), dtype=np.uint8)
            made[name] = data, rng.permutation(np.arange(each) % classes).tolist()
            labels = "labels" if classes == 10 else "fine_labels"
            listed.append([name, write(name, {"data": data, labels: made[name][1], "batch_label": name})])
        return listed

    monkeypatch.setattr(loader, "train_list", batches(loader.train_list, each=4 * classes))
    monkeypatch.setattr(loader, "test_list", batches(loader.test_list, each=classes))
    names = {loader.meta["key"]: [f"class {label}" for label in range(classes)]}
    monkeypatch.setattr(loader, "meta", {**loader.meta, "md5": write(loader.meta["filename"], names)})
    return made


def stl(root, monkeypatch):
    """Binaries of 40 and 20 images; returns (images, labels from 1) of each part. The loader is told their MD5."""
    rng, made = np.random.default_rng(0), {}
    folder = root / stl10.STL10.base_folder
    folder.mkdir(parents=True)
    for part, count in (("train", 40), ("test", 20)):
        images = rng.integers(0, 256, (count, 3, 96, 96), dtype=np.uint8)  # image, channel, column, row
        labels = rng.permutation(np.arange(count) % 10 + 1).astype(np.uint8)
        made[part] = images, labels
        images.tofile(folder / f"{part}_X.bin")
        labels.tofile(folder / f"{part}_y.bin")
        listed = [[f"{part}_{kind}.bin", md5(folder / f"{part}_{kind}.bin")] for kind in "Xy"]
        monkeypatch.setattr(stl10.STL10, f"{part}_list", listed)
    return made


def tiny(root, monkeypatch, classes=3, train=8, val=4):
    """Tiny ImageNet's folders with fewer classes and images; returns its folder."""
    info = dataclasses.replace(DATASETS["tiny_imagenet"], classes=classes, train=classes * train)
    monkeypatch.setitem(DATASETS, "tiny_imagenet", info)
    folder, named = root / "tiny-imagenet-200", []
    wnids = [f"n{10_000_000 - number}" for number in range(classes)]
    for label, wnid in enumerate(wnids):
        (folder / "train" / wnid / "images").mkdir(parents=True)
        boxes = []
        for number in range(train):
            name = f"{wnid}_{number}.JPEG"
            Image.fromarray(pixels(train * label + number)).save(folder / "train" / wnid / "images" / name, "JPEG")
            boxes.append(f"{name}\t0\t10\t63\t58\n")
        (folder / "train" / wnid / f"{wnid}_boxes.txt").write_text("".join(boxes))
    for part in ("val", "test"):
        (folder / part / "images").mkdir(parents=True)
        for number in range(classes * val):
            Image.fromarray(pixels(10_000 + number)).save(folder / part / "images" / f"{part}_{number}.JPEG", "JPEG")
            named.append(f"val_{number}.JPEG\t{wnids[number % classes]}\t0\t32\t44\t62\n")
    (folder / "val" / "val_annotations.txt").write_text("".join(named[: classes * val]))
    (folder / "wnids.txt").write_text("".join(f"{wnid}\n" for wnid in wnids))
    (folder / "words.txt").write_text("n00001740\tentity\n")
    return folder


def folder(root, classes=3, train=8, test=4, name="beasts", test_name="test", side=None):
    """PNG and JPEG files by class, of many sizes or of one; returns the folder that holds them."""
    for part, count in (("train", train), (test_name, test)):
        for label in range(classes):
            where = root / name / part / f"class {label}"
            where.mkdir(parents=True)
            for number in range(count):
                height, width = (side, side) if side else (16 + 5 * (number % 4), 16 + 3 * (number % 3))
                image = Image.fromarray(pixels(1000 * label + number, height, width))
                image.save(where / f"{number:02}.{('png', 'jpg')[number % 2]}")
    return root / name


def stated(name, monkeypatch, **known):
    """Say that a data set is a smaller one."""
    monkeypatch.setitem(DATASETS, name, dataclasses.replace(DATASETS[name], **known))


def idx(root, name, monkeypatch, packed=True):
    """The four idx files of MNIST or Fashion-MNIST, of 40 and 20 images; returns (images, labels) of each part."""
    rng, made = np.random.default_rng(0), {}
    stated(name, monkeypatch, train=40)
    for part, count in (("train", 40), ("t10k", 20)):
        made[part] = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8), (np.arange(count) % 10).astype(np.uint8)
        for kind, array in zip(("images-idx3", "labels-idx1"), made[part], strict=True):
            header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
            content = header + array.tobytes()
            file = root / f"{part}-{kind}-ubyte{'.gz' if packed else ''}"
            file.write_bytes(gzip.compress(content) if packed else content)
    return made


def house_numbers(root, monkeypatch):
    """SVHN's two .mat files, of 40 and 20 images; the loader is told their MD5."""
    rng, listed = np.random.default_rng(0), dict(datasets.SVHN.split_list)
    stated("svhn", monkeypatch, train=40)
    for part, count in (("train", 40), ("test", 20)):
        file = root / f"{part}_32x32.mat"
        labels = np.arange(count) % 10 + 1  # 10 is the digit 0
        scipy.io.savemat(file, {"X": rng.integers(0, 256, (32, 32, 3, count), dtype=np.uint8), "y": labels[:, None]})
        listed[part] = [listed[part][0], file.name, md5(file)]
    monkeypatch.setattr(datasets.SVHN, "split_list", listed)


def pets(root, monkeypatch, classes=3, train=8, test=4):
    """Oxford's folders of images and lists."""
    stated("oxford_pets", monkeypatch, classes=classes, train=classes * train)
    folder = root / "oxford-iiit-pet"
    (folder / "images").mkdir(parents=True)
    (folder / "annotations").mkdir()
    for part, count in (("trainval", train), ("test", test)):
        lines = []
        for label in range(classes):
            for number in range(count):
                name = f"breed_{label}_{part}{number}"
                Image.fromarray(pixels(100 * label + number)).save(folder / "images" / f"{name}.jpg")
                lines.append(f"{name} {label + 1} 1 1\n")
        (folder / "annotations" / f"{part}.txt").write_text("".join(lines))


def flowers(root, monkeypatch, classes=3):
    """Oxford's images with their .mat files: 4, 4 and 4 of a class for training, validation and the test."""
    stated("oxford_flowers", monkeypatch, classes=classes, train=8 * classes)
    folder = root / "flowers-102"
    (folder / "jpg").mkdir(parents=True)
    count = 12 * classes
    for number in range(1, count + 1):
        Image.fromarray(pixels(number)).save(folder / "jpg" / f"image_{number:05d}.jpg")
    ids = np.arange(1, count + 1)
    scipy.io.savemat(folder / "imagelabels.mat", {"labels": (ids % classes + 1)[None]})
    parts = {"trnid": ids[: 4 * classes], "valid": ids[4 * classes : 8 * classes], "tstid": ids[8 * classes :]}
    scipy.io.savemat(folder / "setid.mat", {name: found[None] for name, found in parts.items()})
    known = {key: (name, md5(folder / name)) for key, name in (("label", "imagelabels.mat"), ("setid", "setid.mat"))}
    monkeypatch.setattr(datasets.Flowers102, "_file_dict", {**datasets.Flowers102._file_dict, **known})


def dishes(root, monkeypatch, classes=3, train=8, test=4):
    """Food-101's images with its lists."""
    stated("food101", monkeypatch, classes=classes, train=classes * train)
    folder = root / "food-101"
    (folder / "meta").mkdir(parents=True)
    for part, count in (("train", train), ("test", test)):
        listed = {f"dish_{label}": [f"dish_{label}/{part}{number}" for number in range(count)] for label in range(classes)}
        for name, images in listed.items():
            (folder / "images" / name).mkdir(parents=True, exist_ok=True)
            for number, image in enumerate(images):
                Image.fromarray(pixels(number)).save(folder / "images" / f"{image}.jpg")
        (folder / "meta" / f"{part}.json").write_text(json.dumps(listed))


def make(name, root, monkeypatch):
    """Put a small data set of that name under ``root``; returns a config of it."""
    match name:
        case "digits":
            return DataConfig("digits")
        case "synthetic":
            return DataConfig("synthetic", classes=6, train_images=90, test_images=30)
        case "cifar10" | "cifar100":
            cifar(getattr(datasets, name.upper()), root, monkeypatch)
            return DataConfig(name, validation=0.25)
        case "stl10":
            stl(root, monkeypatch)
            return DataConfig("stl10", validation=0.25)
        case "tiny_imagenet":
            tiny(root, monkeypatch)
            return DataConfig("tiny_imagenet", validation=0.25)
        case "mnist" | "fashion_mnist":
            idx(root, name, monkeypatch, packed=name == "fashion_mnist")
            return DataConfig(name, validation=0.25)
        case "svhn":
            house_numbers(root, monkeypatch)
            return DataConfig(name, validation=0.25)
        case "oxford_pets" | "oxford_flowers" | "food101":
            {"oxford_pets": pets, "oxford_flowers": flowers, "food101": dishes}[name](root, monkeypatch)
            return DataConfig(name, size=32, validation=0.25)
        case "imagenet":
            stated(name, monkeypatch, classes=3, train=24)
            folder(root, name="imagenet", test_name="val")
            return DataConfig(name, size=32, validation=0.25)
        case "cinic10":
            stated(name, monkeypatch, classes=3, train=24)
            folder(root, name="CINIC-10", side=32)
            return DataConfig(name, validation=0.25)
        case "image_folder":
            return DataConfig("image_folder", folder=folder(root).name, size=16, classes=3, train_images=24, validation=0.25)
