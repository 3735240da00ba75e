"""`python -m benchmarks`: its options, its children, what it keeps; and, slow, all of it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from benchmarks import __main__ as bench
from benchmarks.options import PHOTOS, RESULTS, SECTIONS, options
from benchmarks.record import Record, read
from benchmarks.report import markdown
from benchmarks.speed import apart
from benchmarks.speed.photos import gather
from benchmarks.speed.rows import Row
from benchmarks.speed.setting import option, take

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("value", ["it's", "a, b", "back\\slash", "$x {y}", "\\'", "end\\"])
def test_folders_of_any_name_reach_the_command_line(value):
    (parsed,) = OverridesParser.create().parse_overrides([option("data.root", f"/photos/{value}")])
    assert str(parsed.value()) == f"/photos/{value}"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--only", "embeding"], "there are embedding,"),
        (["--repeats", "0"], "1 or more"),
        (["--photos", "nowhere"], "no such folder"),
        (["--photos", "empty"], "no JPEGs"),
        (["--torch", "empty"], "torch and transformers are not in this folder"),
        (["--out", "empty"], "is a folder"),
        (["--out", "note.md"], "not what python -m benchmarks writes"),
        (["--out", "note.md/speed.json"], "is no folder"),
    ],
)
def test_mistakes_are_told_in_one_line_before_any_work(words, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("note.md").write_text("mine")
    with pytest.raises(SystemExit, match="2"):
        options(words)
    (line,) = capsys.readouterr().err.splitlines()
    assert " ".join(words) in line
    assert told in line
    assert Path("note.md").read_text() == "mine"


def test_a_quick_look_leaves_real_results_alone():
    assert options(["--quick"]).out == RESULTS / "speed-quick.json"
    assert options([]).out == RESULTS / "speed.json"


MACHINE = {"commit": "abc", "changes": None, "cores": 2, "load": (0.5, 0, 0)}


def record(path, *, merge=True, **machine):
    told = {"machine": MACHINE | machine, "options": {"repeats": 3}, "order": SECTIONS}
    return Record(path, merge=merge, **told)


def test_each_section_is_kept_at_once_and_put_beside_the_others(tmp_path):
    path = tmp_path / "new" / "speed.json"
    first = record(path)
    for name in ("search", "pca"):
        first.add(name, {"failed": "no"})
        assert name in read(path)["results"]
    second = record(path, load=(1.5, 0, 0))
    assert second.starts == ""
    second.add("embedding", {"backbones": {"resnet50": {"ours": {"values": [1]}}}})
    kept = read(path)
    assert list(kept["results"]) == ["embedding", "search", "pca"]
    assert [goal["what"] for goal in kept["goals"]] == ["resnet50: ours, of the limit"]
    assert [file.name for file in path.parent.iterdir()] == ["speed.json"]


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"commit": "abd"}, "started (different commit);"),
        ({"changes": "12"}, "started (different commit);"),
        ({"cores": 4}, "started (different machine);"),
        ({"merge": False}, "started;"),
    ],
)
def test_figures_of_other_circumstances_are_not_mixed_nor_lost(other, told, tmp_path):
    path = tmp_path / "speed.json"
    record(path).add("search", {"failed": "no"})
    new = record(path, **other)
    assert told in new.starts
    assert list(read(path)["results"]) == ["search"]  # until there is something new
    new.add("pca", {"failed": "no"})
    new.add("memory", {"failed": "no"})
    assert list(read(path)["results"]) == ["pca", "memory"]
    assert list(read(tmp_path / "speed.before.json")["results"]) == ["search"]


def test_a_section_that_fails_does_not_stop_the_others(tmp_path, monkeypatch, capsys):
    from benchmarks.speed import pca, search

    out = tmp_path / "speed.json"
    monkeypatch.setattr(search, "measure", lambda _: {}["rows"])
    monkeypatch.setattr(pca, "measure", lambda _: {"n": 9, "d": 3, "rows": {}})
    words = ["--quick", "--only", "search,pca", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", ["benchmarks", *words])
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit, match="1"):
        bench.main()
    found = read(out)["results"]
    assert found["search"]["failed"].startswith("KeyError: 'rows' (test_benchmarks.py:")
    assert found["pca"]["n"] == 9
    assert "search failed: KeyError: 'rows'" in capsys.readouterr().out


def test_a_process_is_watched(tmp_path):
    work = "import sys, os; x = b'1' * (100 << 20); print(os.getcwd()); sys.exit(3)"
    done = apart.run([sys.executable, "-c", work], cwd=tmp_path, code=3)
    assert done.out == f"{tmp_path}\n"
    assert done.seconds > 0 < done.cpu_seconds
    with pytest.raises(apart.ChildError, match="exit code 3: what went wrong"):
        apart.run([sys.executable, "-c", "print('what went wrong\\n'); exit(3)"], cwd=tmp_path)


def test_peak_memory_is_that_of_the_process_alone(tmp_path):
    work = "import time; x = b'1' * (100 << 20); del x; time.sleep(0.3)"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {work!r}])"
    own, childs = (
        apart.run([sys.executable, "-c", code], cwd=tmp_path).peak_bytes for code in (work, child)
    )
    assert childs < 100 << 20 < own


def test_who_fails_does_not_stop_the_rest(capsys):
    def fails():
        raise apart.ChildError("exit code 1: no")

    one = Row("s")
    take(one, "one", lambda: (2.0, {"cpu_seconds": 1.0}))
    take(one, "one", fails)
    assert (one.values, one.failed) == ([2.0], "exit code 1: no")
    assert "failed: exit code 1: no" in capsys.readouterr().out


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_leaves_what_was_measured_and_nothing_else(sent, code, tmp_path):
    # A process in a session of its own, as the recorder is.
    child = "import subprocess; subprocess.Popen(['sleep', '77'], start_new_session=True).wait()"
    program = f"""
import sys
from pathlib import Path
from benchmarks import __main__ as bench
from benchmarks.speed import apart, economy, search
bench.facts = lambda *_: {{"load": [0, 0, 0]}}
search.measure = lambda _: {{"failed": "no"}}
economy.measure = lambda _: apart.run([sys.executable, "-c", {child!r}], cwd=Path.cwd())
sys.argv = ["benchmarks", "--quick", "--only", "search,economy", "--out", "speed.json"]
bench.main()
"""
    work = tmp_path / "work"
    work.mkdir()
    env = {"PYTHONPATH": str(ROOT), "TMPDIR": str(work)}
    main = subprocess.Popen(
        [sys.executable, "-c", program], cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True
    )
    family: list[psutil.Process] = []
    for _ in range(300):
        family = psutil.Process(main.pid).children(recursive=True)
        if any(member.name() == "sleep" for member in family):
            break
        time.sleep(0.1)
    assert len(family) == 2
    main.send_signal(sent)
    _, told = main.communicate(timeout=30)
    assert main.returncode == code
    assert sent == signal.SIGTERM or told.endswith("left running; search: in speed.json\n")
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not alive
    assert not list(work.iterdir())
    assert list(read(tmp_path / "speed.json")["results"]) == ["search"]


@pytest.mark.slow
@pytest.mark.timeout(1800)  # three minutes on an idle machine
def test_all_of_it_quickly(tmp_path):
    folder = tmp_path / "tmp"
    folder.mkdir()
    out = tmp_path / "speed.json"
    photos = gather([], 40, tmp_path / "my photos")[0].parent.parent
    words = ["--quick", "--photos", photos, "--out", out]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *map(str, words)],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(folder), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(out.read_text())
    found = results["results"]
    assert list(found) == list(SECTIONS)
    assert found["embedding"]["photos"] == 40 < PHOTOS
    rows = {
        f"embedding {way}": told
        for way, told in found["embedding"]["backbones"]["mobilenet"].items()
    }
    for section in SECTIONS[1:]:
        rows |= {f"{section} {name}": told for name, told in found[section]["rows"].items()}
    rows.pop("embedding torch")  # may not be installed
    wanting = {name: told["failed"] for name, told in rows.items() if len(told["values"]) != 1}
    assert wanting == {}
    ours = rows["embedding ours"]["details"][0]
    assert ours["photos"] == 40
    heavy = {name: set(rows[f"startup {name}"]["imports"]["heavy"]) for name in ("help", "mistake")}
    assert heavy == {"help": set(), "mistake": set()}
    assert None not in {goal["met"] for goal in results["goals"]}
    assert "not measured" not in markdown(results)
    assert not list(folder.glob("speed-*"))
    assert not (tmp_path / "mlflow.db").exists()
