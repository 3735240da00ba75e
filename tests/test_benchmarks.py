"""`python -m benchmarks`: its arithmetic, its tables, its children; and, slow, all of it once."""

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

from benchmarks.__main__ import PHOTOS, SECTIONS, options
from benchmarks.report import fill, markdown, telling, terminal
from benchmarks.speed import apart
from benchmarks.speed.goals import goals
from benchmarks.speed.photos import gather, in_class_folders
from benchmarks.speed.rows import Row, limit, ratio
from benchmarks.speed.setting import option, take

ROOT = Path(__file__).parent.parent


def test_the_limit_shares_the_cores_between_computing_and_decoding():
    # 10 ms of both cores to compute, and 2 ms of one core, so 1 ms of both, to decode.
    assert limit(compute=100, decode_seconds=0.002, cores=2) == pytest.approx(1 / 0.011)
    assert limit(compute=100, decode_seconds=0, cores=1) == pytest.approx(100)


def test_a_ratio_is_taken_repeat_by_repeat():
    # The third repeat was slow for both; the medians alone would say 90 / 100.
    assert ratio([80, 90, 47.5], [100, 100, 50]) == pytest.approx(0.9)
    assert ratio([10, 60, 30], [10, 20, 30]) == 1
    assert ratio([10, 60, 30], [20]) == 1.5
    assert ratio([], [1]) is None


def row(unit, *values, **more):
    return {**Row(unit, list(values)).as_dict(), **more}


@pytest.fixture
def results():
    ways = {
        "ours": row("photos/s", 90, 88, 92, conversion_seconds=14.0),
        "limit": row("photos/s", 98, 100, 102),
        "notebook": row("photos/s", 8),
        "dataset": row("photos/s", 40, 44, 46),
        "torch": row("photos/s", failed="PyTorch is not installed"),
    }
    commands = {
        "first": row("s", 40.0, 44.0, 42.0),
        "variants": row("s", 6.0, 7.0, 6.3),
        "stored": row("s", 5.2, 5.1, 4.9),
    }
    searches = {"ours": row("ms", 1.0), "faiss": row("ms", 0.8), "kd_tree": row("ms", 95.0)}
    peaks = {"few": row("MiB", 500), "many": row("MiB", 520)}
    found = {
        "embedding": {"photos": 1000, "backbones": {"mobilenet": ways}},
        "economy": {"photos": 2221, "count": 12, "rows": commands},
        "search": {"n": 43_455, "d": 500, "queries": 5000, "depth": 10, "rows": searches},
        "memory": {
            "few": 2000,
            "many": 20_000,
            "rows": {f"{what}, {n}": peaks[n] for what in ("embedding", "command") for n in peaks},
        },
    }
    return {
        "machine": {
            "processor": "A processor",
            "cores": 2,
            "memory_gib": 16.0,
            "python": "3.11.7",
            "versions": {"numpy": "2.4.0"},
            "commit": "abc1234",
            "load": [0.25, 0, 0],
        },
        "options": {"repeats": 3, "quick": False},
        "took_seconds": 1200,
        "results": found,
        "goals": [goal.as_dict() for goal in goals(found)],
    }


def test_goals(results):
    found = {goal["what"]: (goal["found"], goal["met"]) for goal in results["goals"]}
    assert found == {
        "mobilenet: ours, of the limit": (pytest.approx(90 / 100, abs=0.003), True),
        "mobilenet: ours, of the notebook way": (90 / 8, True),
        "mobilenet: ours, of the dataset way": (2.0, False),
        "12 variants, of the first run": (pytest.approx(0.15), True),
        "a stored run, interpreter start included": (5.1, False),
        "exact search: ours, of faiss alone": (1.25, False),
        "peak memory of the embedding: 20,000 pictures, of 2,000": (1.04, True),
        "peak memory of the command: 20,000 pictures, of 2,000": (1.04, True),
    }


def test_what_was_not_measured_is_no_goal_that_was_met():
    failed = {"rows": {"ours": row("ms", failed="no"), "faiss": row("ms", 1)}}
    (goal,) = goals({"search": failed})
    assert (goal.found, goal.met) == (None, None)


def test_the_tables(results):
    told = markdown(results)
    assert "A processor, 2 cores, 16 GiB, Python 3.11.7; numpy 2.4.0; commit abc1234." in told
    assert "Load before: 0.25. Median of 3 (smallest to largest), in 20 minutes." in told
    assert "| a stored run, interpreter start included | at most 5 s | 5.1 s | **no** |" in told
    assert "| **this project**: photos on disk to stored features | 90.0 (88.0–92.0) |  |" in told
    assert "`load_img` and `predict`, photo by photo | 8.00 | 11.2 × |" in told
    assert "| PyTorch, the better of eager and compiled | – |  |" in told
    assert "mobilenet, torch: PyTorch is not installed" in told
    assert "| variants in one command | 6.30 (6.00–7.00) | 15% |" in told
    assert "| scikit-learn, KD tree | 95.0 | 95.0 × |" in told
    widths = {len(line.split("|")) for line in told.splitlines() if line.startswith("| **this")}
    assert widths == {5, 6}  # every row as wide as its head


def test_on_a_terminal_columns_stand_under_each_other(results):
    lines = terminal(results).splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("goal "))
    assert {line.find(" at ") for line in lines[head + 1 : head + 9]} == {
        lines[head].find(" wanted")
    }
    assert not any("---" in line or "**" in line for line in lines)


def test_pages_are_filled_between_their_markers(results):
    page = "Before\n<!-- speed-rows -->\nold\n<!-- /speed-rows -->\nAfter\n"
    once = fill(page, "speed-rows", telling(results))
    assert once.startswith("Before\n<!-- speed-rows -->\n| ")
    assert once.endswith("|\n<!-- /speed-rows -->\nAfter\n")
    assert "old" not in once
    assert fill(once, "speed-rows", telling(results)) == once
    assert "| 6.30 (6.00–7.00) s | 15% of the first run's 42.0 (40.0–44.0) s |" in once
    with pytest.raises(ValueError, match="no <!-- speed -->"):
        fill(page, "speed", "")


@pytest.mark.parametrize(
    ("page", "name"), [("docs/speed.md", "speed"), ("README.md", "speed-rows")]
)
def test_our_pages_have_the_markers(page, name):
    assert "filled" in fill((ROOT / page).read_text(), name, "filled")


def test_photos_are_taken_evenly_or_drawn(tmp_path):
    import cv2

    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    for i in range(9):
        (source / "deep" / f"{i}.JPG").write_bytes(bytes([i]))
    (source / "notes.txt").touch()
    files = gather(source, 3, tmp_path / "three")
    assert [file.read_bytes()[0] for file in files] == [0, 4, 8]
    assert len(gather(source, 100, tmp_path / "all")) == 9
    drawn = gather(None, 12, tmp_path / "drawn")
    assert {cv2.imread(str(file)).shape for file in drawn} == {(200, 300, 3)}
    assert len({file.read_bytes() for file in drawn}) == 12
    assert len({file.parent for file in drawn}) == 10


def test_only_class_folders_can_be_what_whole_runs_are_made_of(tmp_path):
    photos = tmp_path / "photos"
    for name in ("cat/1.jpg", "cat/2.jpg", "dog/more/3.jpg"):
        (photos / name).parent.mkdir(parents=True, exist_ok=True)
        (photos / name).touch()
    assert in_class_folders(photos)
    assert not in_class_folders(photos / "dog")
    (photos / "loose.jpeg").touch()
    assert not in_class_folders(photos)


@pytest.mark.parametrize("value", ["it's", "a, b", "back\\slash", "$x {y}", "\\'", "end\\"])
def test_folders_of_any_name_reach_the_command_line(value):
    (parsed,) = OverridesParser.create().parse_overrides([option("data.root", f"/photos/{value}")])
    assert str(parsed.value()) == f"/photos/{value}"


@pytest.mark.parametrize(
    "words", [["--only", "embeding"], ["--repeats", "0"], ["--photos", "nowhere"]]
)
def test_mistakes_are_told_before_any_work(words, capsys):
    with pytest.raises(SystemExit, match="2"):
        options(words)
    assert words[1] in capsys.readouterr().err


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


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_no_children_and_no_files(sent, tmp_path):
    # A process in a session of its own, as the recorder is.
    child = "import subprocess; subprocess.Popen(['sleep', '77'], start_new_session=True).wait()"
    code = f"""
import signal, sys
from pathlib import Path
from benchmarks import __main__ as bench
from benchmarks.speed import apart
bench.facts = lambda *_: {{}}
bench.measured = lambda *_: apart.run([sys.executable, "-c", {child!r}], cwd=Path.cwd())
sys.argv = ["benchmarks"]
bench.main()
"""
    work = tmp_path / "work"
    work.mkdir()
    env = {"PYTHONPATH": str(ROOT), "TMPDIR": str(work)}
    main = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env=env)
    family: list[psutil.Process] = []
    for _ in range(300):
        family = psutil.Process(main.pid).children(recursive=True)
        if any(member.name() == "sleep" for member in family):
            break
        time.sleep(0.1)
    assert len(family) == 2
    main.send_signal(sent)
    assert main.wait(30) != 0
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not alive
    assert not list(work.iterdir())


@pytest.mark.slow
@pytest.mark.timeout(1800)  # three minutes on an idle machine
def test_all_of_it_quickly(tmp_path):
    folder = tmp_path / "tmp"
    folder.mkdir()
    out = tmp_path / "speed.json"
    photos = gather(None, 40, tmp_path / "my photos")[0].parent.parent
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
