"""Small synthetic data sets with the layout of the real ones."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import numpy as np

from tests.servers import ReceivedRequest, Reply, in_parts

PER_CLASS = 6


def photo(*seed: int) -> bytes:
    """Encode a JPEG with content determined by the seed."""
    pixels = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), np.uint8)
    return cv2.imencode(".jpg", cv2.resize(pixels, (64, 48)))[1].tobytes()


def make_tar(entries: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in entries.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def make_zip(entries: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return out.getvalue()


def photos(pattern: str, classes: tuple[str, ...]) -> dict[str, bytes]:
    """Return photos of some classes, by names from a pattern."""
    return {
        pattern.format(label, number): photo(class_number, number)
        for class_number, label in enumerate(classes)
        for number in range(1, PER_CLASS + 1)
    }


def caltech101() -> dict[str, bytes]:
    inner = photos(
        "101_ObjectCategories/{}/image_{:04d}.jpg",
        ("BACKGROUND_Google", "Leopards", "crab", "accordion", "cougar_face"),
    )
    inner["101_ObjectCategories/BACKGROUND_Google/tmp"] = b""
    entries = {
        "caltech-101/101_ObjectCategories.tar.gz": make_tar(inner),
        "caltech-101/Annotations.tar": b"not needed",
        "caltech-101/show_annotation.m": b"% not needed",
        "__MACOSX/caltech-101/._show_annotation.m": b"",
    }
    return {"caltech-101.zip": make_zip(entries)}


def oxford_pets() -> dict[str, bytes]:
    inner = photos("images/{}_{}.jpg", ("Abyssinian", "american_bulldog"))
    inner["images/Abyssinian_7.jpg"] = photo(99)  # not in a list
    lines = {
        name: f"{name} {1 + name.startswith('am')} 1 1"
        for name in (path[7:-4] for path in inner)
        if name != "Abyssinian_7"
    }
    test = [line for name, line in lines.items() if int(name.rpartition("_")[2]) > 2]
    trainval = [line for line in lines.values() if line not in test]
    annotations = {
        "annotations/README": b"lists",
        "annotations/list.txt": ("#Image CLASS-ID\n" + "\n".join(lines.values())).encode(),
        "annotations/trainval.txt": ("\n".join(trainval) + "\n").encode(),
        "annotations/test.txt": ("\n".join(test) + "\n").encode(),
        "annotations/trimaps/._Abyssinian_1.png": b"",
        "annotations/trimaps/Abyssinian_1.png": b"not needed",
    }
    inner["images/Abyssinian_100.mat"] = b"not needed"
    return {"images.tar.gz": make_tar(inner), "annotations.tar.gz": make_tar(annotations)}


def cifar_records(rows: int, *seed: int, classes: int = 4) -> bytes:
    random = np.random.default_rng(seed)
    records = random.integers(0, 256, (rows, 3073), np.uint8)
    records[:, 0] = np.arange(rows) % classes
    return records.tobytes()


def cifar10(rows: int = 8) -> dict[str, bytes]:
    folder = "cifar-10-batches-bin"
    entries = {f"{folder}/data_batch_{i}.bin": cifar_records(rows, i) for i in range(1, 6)}
    entries[f"{folder}/test_batch.bin"] = cifar_records(rows, 6)
    entries[f"{folder}/batches.meta.txt"] = b"airplane\nautomobile\n"
    entries[f"{folder}/readme.html"] = b"not needed"
    return {"cifar-10-binary.tar.gz": make_tar(entries)}


def make_idx(array: np.ndarray) -> bytes:
    header = struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return gzip.compress(header + array.astype(np.uint8).tobytes())


def fashion_mnist() -> dict[str, bytes]:
    files = {}
    for seed, (part, rows) in enumerate({"train": 20, "t10k": 10}.items()):
        pixels = np.random.default_rng(seed).integers(0, 256, (rows, 28, 28))
        files[f"{part}-images-idx3-ubyte.gz"] = make_idx(pixels)
        files[f"{part}-labels-idx1-ubyte.gz"] = make_idx(np.arange(rows) % 3)
    return files


def animals90() -> dict[str, bytes]:
    entries = photos("animals/animals/{}/{:010x}.jpg", ("antelope", "badger", "zebra"))
    entries["name of the animals.txt"] = b"antelope\nbadger\nzebra"
    return {"animal-image-dataset-90-different-animals.zip": make_zip(entries)}


MAKERS = {
    "animals90": animals90,
    "caltech101": caltech101,
    "caltech101_animals": caltech101,
    "oxford_pets": oxford_pets,
    "cifar10": cifar10,
    "fashion_mnist": fashion_mnist,
}
N_IMAGES = {
    "animals90": 18,
    "caltech101": 24,
    "caltech101_animals": 12,
    "oxford_pets": 12,
    "cifar10": 48,
    "fashion_mnist": 30,
}


class Mirror:
    """Server handler that returns the files of a data set."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = files

    def __call__(self, request: ReceivedRequest) -> Reply:
        body = self.files.get(urlsplit(request.path).path.rpartition("/")[2])
        return Reply(404) if body is None else in_parts(body, request)


def write_files(entries: Mapping[str, bytes], root: Path) -> Path:
    """Write entries as files below a folder."""
    for name, content in entries.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root
