"""The datasets command."""

import re
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from outliers_bench.data.named.catalog import NAMED
from outliers_bench.data.named.local_copy import dataset_dir
from outliers_bench.errors import BenchError
from tests.command_line import bench
from tests.data.downloads import ranges
from tests.named_sets import MAKERS, Mirror, caltech101
from tests.servers import serving

pytestmark = pytest.mark.usefixtures("short_pauses")


def test_too_little_disk_space_is_reported_before_downloading(
    tmp_path, publish, monkeypatch, datasets_command
):
    files = caltech101()
    with serving(Mirror(files)) as server:
        kind = publish("caltech101", files, server.url)
        huge = tuple(replace(remote, size=10**18) for remote in kind.info.files)
        monkeypatch.setattr(kind, "info", replace(kind.info, files=huge))
        with pytest.raises(BenchError, match=r"GiB are needed in .* with cache\.dir=<folder>$"):
            kind().load(seed=0, cache=tmp_path)
        assert server.requests == []
        code, _, err = datasets_command("caltech101")
    assert code == 2
    assert err.endswith(" choose another folder with cache=<folder>\n")


@pytest.mark.slow
def test_killed_download_command_is_resumed(tmp_path):
    files = MAKERS["cifar10"](rows=100)
    (name,) = files

    def respond_slowly(request):
        return replace(Mirror(files)(request), slow=0.02)

    with serving(respond_slowly) as server:
        arguments = ["cifar10", f"url={server.url}", "verify=false", f"cache={tmp_path}"]
        command = [sys.executable, "-m", "outliers_bench.datasets", *arguments]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        info = replace(NAMED["cifar10"].info, mirror=server.url, verify=False)
        folder = dataset_dir(info, tmp_path)
        part = folder / f"{name}.part"
        while process.poll() is None and not (part.exists() and part.stat().st_size > 10**6):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        received = part.stat().st_size
        assert received < len(files[name])
        done = bench(*arguments, module="outliers_bench.datasets", cwd=tmp_path)
        assert done.code == 0, done.err
        assert ranges(server) == [None, f"bytes={received}-"]


def test_command_lists_data_sets(datasets_command):
    code, out, _ = datasets_command()
    assert code == 0
    for name, kind in NAMED.items():
        assert f"{name} " in out
        assert kind.info.source in out
        assert f"{kind.info.images:,}" in out
    assert "yes" not in out


def test_command_downloads(datasets_command, publish):
    files = MAKERS["fashion_mnist"]()
    with serving(Mirror(files)) as server:
        publish("fashion_mnist", files, server.url)
        code, out, err = datasets_command("fashion_mnist")
    assert code == 0, err
    assert out.startswith("fashion_mnist: license: MIT (https://")
    assert out.endswith("to use it: python -m outliers_bench data=fashion_mnist\n")
    assert re.search("fashion_mnist .* yes +MIT", datasets_command()[1])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fashion"], "fashion: no such data set; did you mean fashion_mnist?"),
        (["caltech101", "imagenet"], "after registration only"),
        (["cifar10", "caltech101", "url=http://x"], "a mirror has one data set"),
        (["cifar10", "verfy=false"], "did you mean verify?"),
    ],
)
def test_command_reports_mistakes(datasets_command, words, message):
    code, _, err = datasets_command(*words)
    assert code == 2
    assert message in err


@pytest.mark.slow
def test_command_as_a_process(tmp_path):
    listed = bench(f"cache={tmp_path}", module="outliers_bench.datasets", cwd=tmp_path)
    assert listed.code == 0
    assert "caltech101_animals" in listed.out
