"""Files with options: text as it is written, and one line for what cannot be read."""

import pytest
import yaml

from outliers_bench.config.option_files import FileConfigSource, load_options
from outliers_bench.config.schema import register
from outliers_bench.errors import BenchError
from tests.command_line import in_process

PLAIN = r"""
2023.10 2024_05_17 1e5 0012 0x1F 1_000 +5 -3 .5 5. 12:30:00 2023-10-01 true False yes no on .nan
.inf Löwen Anna's a&b ~/photos a#b C:\x http://host/a?b=c&d
"""


@pytest.fixture(autouse=True, scope="module")
def registered():
    register()


@pytest.mark.parametrize("text", [*PLAIN.split(), "photos (1)"])
def test_text_is_what_is_written(tmp_path, text):
    file = tmp_path / "mine.yaml"
    file.write_text(
        f"# @package _global_\ndata:\n  root: {text}  # folder\n  name: &name {text}\n"
        f"tracking: {{experiment: *name}}\nmodel:\n  members:\n  - {text}\n"
        f"hydra:\n  sweeper:\n    params:\n      data.root: {text}\n",
        encoding="utf-8",
    )
    options = load_options(file)
    assert (options.data.root, options.data.name, options.tracking.experiment) == (text,) * 3
    assert list(options.model.members) == [text]
    assert options.hydra.sweeper.params["data.root"] == text
    file.write_text(f"root: {text}\n", encoding="utf-8")
    assert load_options(file, "data").root == text


def test_other_values_are_what_yaml_says(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("seed: 1_000\npca: {n: null}\ndata: {name: null, root: '7', query: 1e-1}\n")
    options = load_options(file)
    assert (options.seed, options.pca.n) == (1000, None)
    assert (options.data.name, options.data.root, options.data.query) == (None, "7", 0.1)


FILES = {
    "tab": (b"k:\n\t- 1\n", "line 2: a tab; indent with spaces"),
    "bracket": (b"seed: 3\nk: [1\n", "line 3: expected ',' or ']'.*in line 2"),
    "twice": (b"seed: 3\nk: [1]\nseed: 4\n", "line 3: found duplicate key seed"),
    "quote": (b"k: [1]\ndata: {root: 'x}\n", "line 3: .*in line 2"),
    "utf-16": ("k: [1]\n".encode("utf-16"), "line 1: not in UTF-8; save it as UTF-8"),
    "utf-16 without a mark": ("k: [1]\n".encode("utf-16-le"), "line 1: special characters"),
    "latin-1": ("k: [1]\ndata: {name: Löwe}\n".encode("latin-1"), "line 2: not in UTF-8"),
    "empty": (b"", "line 1: there is nothing in it; write options as name: value"),
    "comments": (b"# nothing\n", "line 1: there is nothing in it"),
    "list": (b"# mine\n- seed: 3\n", "line 2: not a mapping; write options as name: value"),
    "text": (b"seed=3\n", "line 1: not a mapping"),
    "two documents": (b"seed: 3\n---\nseed: 4\n", "line 2: .*another document"),
    "unknown tag": (b"seed: !python 3\n", "line 1: could not determine a constructor"),
    "reference": (b"seed: ${seed\n", "yaml: .*seed"),
}


@pytest.mark.parametrize(("content", "reason"), FILES.values(), ids=FILES)
def test_a_wrong_file_is_one_line_with_its_name(tmp_path, content, reason):
    file = tmp_path / "mine.yaml"
    file.write_bytes(content)
    with pytest.raises(BenchError, match=reason) as raised:
        load_options(file)
    assert str(raised.value).startswith(str(file))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("# @package a b\nseed: 1\n", "Too many components.*# @package _global_"),
        ("# @package\nseed: 1\n", "Expected header format.*# @package _global_"),
        ("defaults: 3\n", "defaults must be a list"),
        ("defaults:\n  - data: 2023\n", "defaults must be a list.*numbers in quotes"),
        ("defaults:\n  -\n", "defaults must be a list"),
        ("defaults:\n  - {data: folder, model: sift}\n", "defaults must be a list"),
    ],
)
def test_a_file_that_hydra_ends_with_a_traceback_is_one_line(tmp_path, content, reason):
    file = tmp_path / "mine.yaml"
    file.write_text(content)
    with pytest.raises(BenchError, match=reason) as raised:
        FileConfigSource("own", f"file://{tmp_path}").load_config("mine")
    assert str(raised.value).startswith(str(file))
    assert "\n" not in str(raised.value)


def test_defaults_of_all_kinds_are_taken(tmp_path):
    defaults = ["_self_", {"override /data": "folder"}, {"optional model": None}, {"x": ["a", "b"]}]
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"defaults": defaults}))
    found = FileConfigSource("own", f"file://{tmp_path}").load_config("mine")
    assert found.config.defaults == defaults


@pytest.fixture
def own_files(tmp_path):
    """Folder for `--config-dir`, with Windows line ends and a byte order mark in two files."""
    for folder in ("experiments", "data"):
        (tmp_path / "mine" / folder).mkdir(parents=True)
    (tmp_path / "mine/experiments/numbers.yaml").write_bytes(
        b"\xef\xbb\xbf# @package _global_\r\ndefaults:\r\n  - override /data: zoo\r\n"
        b"tracking:\r\n  experiment: 2023.10\r\n"
    )
    (tmp_path / "mine/data/zoo.yaml").write_bytes(
        b"defaults:\r\n  - /schema/data@_here_: folder\r\n  - _self_\r\n"
        b"root: 2024_05_17\r\nname: 1e5\r\n"
    )
    (tmp_path / "mine/experiments/tab.yaml").write_bytes(b"# @package _global_\nk:\n\t- 1\n")
    return tmp_path / "mine"


def test_own_files_on_the_command_line(own_files, monkeypatch, capsys):
    arguments = ["--config-dir", str(own_files), "+experiments=numbers", "--cfg", "job"]
    done = in_process(monkeypatch, capsys, *arguments)
    assert done.code == 0, done.err
    assert "  root: '2024_05_17'\n" in done.out
    assert "  name: '1e5'\n" in done.out
    assert "  experiment: '2023.10'\n" in done.out


@pytest.mark.parametrize("flags", [(), ("-m",)])
def test_a_wrong_file_ends_the_command(own_files, monkeypatch, capsys, flags):
    arguments = ["--config-dir", str(own_files), "+experiments=tab", *flags]
    done = in_process(monkeypatch, capsys, *arguments)
    assert (done.code, done.out) == (2, "")
    file = own_files / "experiments" / "tab.yaml"
    assert done.err == f"error: {file}, line 3: a tab; indent with spaces\n"
