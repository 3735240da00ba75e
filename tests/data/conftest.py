"""Fixtures of the tests of downloads and data sources."""

import hashlib
from dataclasses import replace

import pandas as pd
import pytest

from outliers_bench.apps import datasets
from outliers_bench.data.download import fetch as fetch_module
from outliers_bench.data.download import http_download as http_module
from outliers_bench.data.download.fetch import fetch
from outliers_bench.data.named.catalog import NAMED
from outliers_bench.data.synthetic import Synthetic
from outliers_bench.runtime import command_line
from tests.toys import write_images


@pytest.fixture
def short_pauses(monkeypatch):
    """Shorten the pauses between the tries of a download."""
    monkeypatch.setattr(fetch_module, "FIRST_PAUSE", 0.001)


@pytest.fixture
def short_timeouts(monkeypatch):
    """Shorten the timeouts of a download."""
    monkeypatch.setattr(http_module, "TIMEOUTS", (2, 0.4))


@pytest.fixture
def download(tmp_path):
    """Download a file into `tmp_path`; returns whether it was downloaded."""

    def download(remote, largest=10**6):
        return fetch(remote, tmp_path, first_seen=tmp_path / "seen.json", largest=largest)

    return download


@pytest.fixture
def publish(monkeypatch):
    """Publish the files of a data set on a test server."""

    def publish(name, files, url):
        kind = NAMED[name]
        digests = {file: hashlib.sha256(body).hexdigest() for file, body in files.items()}
        remotes = tuple(
            replace(
                remote,
                url=f"{url}/{remote.name}",
                size=len(files[remote.name]),
                sha256=digests[remote.name],
            )
            for remote in kind.info.files
        )
        monkeypatch.setattr(kind, "info", replace(kind.info, files=remotes))
        return kind

    return publish


@pytest.fixture
def datasets_command(tmp_path, capsys):
    """Run the datasets command; returns the exit code, standard output, and standard error."""

    def run(*words):
        words = (*words, f"cache={tmp_path}")
        code = command_line.main(
            *(datasets.DatasetOptions, datasets.list_or_fetch),
            program=datasets.PROGRAM,
            positional="names",
            arguments=words,
        )
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def photos(tmp_path):
    """Three classes of ten small images, as class folders."""
    write_images(Synthetic(classes=3, individuals=2, images=5, size=8), tmp_path / "photos")
    return tmp_path / "photos"


@pytest.fixture
def prepared(photos, tmp_path):
    """Images 0-2 of each individual in train, image 3 in query, image 4 in gallery."""
    root = tmp_path / "prepared"
    for file in photos.rglob("*.png"):
        kind, individual, name = file.relative_to(photos).parts
        part = {"0003": "query", "0004": "gallery"}.get(file.stem, "train")
        target = root / part / kind / f"{individual}_{name}"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    return root


@pytest.fixture
def table(photos):
    """A data frame of all images, with labels that look like numbers."""
    files = sorted(photos.rglob("*.png"))
    return pd.DataFrame(
        {
            "path": [file.relative_to(photos).as_posix() for file in files],
            "label": [f"00{file.parts[-3][-1]}" for file in files],
        }
    )


@pytest.fixture
def visits(tmp_path):
    """Photos of two animals in three folders each, `class_000/individual_000/0000.png`."""
    write_images(Synthetic(classes=2, individuals=3, images=4, size=16), tmp_path / "visits")
    return tmp_path / "visits"
