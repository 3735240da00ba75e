"""`python -m benchmarks`: options, child processes, results file; and a slow quick run."""

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
from benchmarks.options import PHOTOS, RESULTS, SECTIONS, parse_options
from benchmarks.report import markdown
from benchmarks.results_file import ResultsFile, read_results
from benchmarks.speed import child_process
from benchmarks.speed.photos import link_photos
from benchmarks.speed.rows import Row
from benchmarks.speed.settings import hydra_option, measure_row

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("value", ["it's", "a, b", "back\\slash", "$x {y}", "\\'", "end\\"])
def test_hydra_option_quotes_any_folder_name(value):
    (parsed,) = OverridesParser.create().parse_overrides(
        [hydra_option("data.root", f"/photos/{value}")]
    )
    assert str(parsed.value()) == f"/photos/{value}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "embeding"], "there are embedding,"),
        (["--repeats", "0"], "must be 1 or more"),
        (["--photos", "nowhere"], "no such folder"),
        (["--photos", "empty"], "no JPEGs"),
        (["--torch", "empty"], "torch and transformers are not in this folder"),
        (["--out", "empty"], "is a folder"),
        (["--out", "note.md"], "not a results file of python -m benchmarks"),
        (["--out", "note.md/speed.json"], "is not a folder"),
    ],
)
def test_option_errors_are_one_line(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("note.md").write_text("mine")
    with pytest.raises(SystemExit, match="2"):
        parse_options(arguments)
    (line,) = capsys.readouterr().err.splitlines()
    assert " ".join(arguments) in line
    assert message in line
    assert Path("note.md").read_text() == "mine"


def test_quick_run_has_its_own_results_file():
    assert parse_options(["--quick"]).out == RESULTS / "speed-quick.json"
    assert parse_options([]).out == RESULTS / "speed.json"


MACHINE = {"commit": "abc", "changes": None, "cores": 2, "load": (0.5, 0, 0)}


def results_file(path, *, merge=True, **machine):
    conditions = {"machine": MACHINE | machine, "options": {"repeats": 3}}
    return ResultsFile(path, merge=merge, order=SECTIONS, **conditions)


def test_sections_are_written_at_once_and_merged(tmp_path):
    path = tmp_path / "new" / "speed.json"
    first = results_file(path)
    for name in ("search", "pca"):
        first.add(name, {"failed": "no"})
        assert name in read_results(path)["results"]
    second = results_file(path, load=(1.5, 0, 0))
    assert second.backup_message == ""
    second.add("embedding", {"backbones": {"resnet50": {"ours": {"values": [1]}}}})
    merged = read_results(path)
    assert list(merged["results"]) == ["embedding", "search", "pca"]
    assert [goal["name"] for goal in merged["goals"]] == ["resnet50: rate relative to the limit"]
    assert [file.name for file in path.parent.iterdir()] == ["speed.json"]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"commit": "abd"}, "started (different commit);"),
        ({"changes": "12"}, "started (different commit);"),
        ({"cores": 4}, "started (different machine);"),
        ({"merge": False}, "started;"),
    ],
)
def test_results_of_other_conditions_are_backed_up(other, message, tmp_path):
    path = tmp_path / "speed.json"
    results_file(path).add("search", {"failed": "no"})
    new = results_file(path, **other)
    assert message in new.backup_message
    assert list(read_results(path)["results"]) == ["search"], "until a section is added"
    new.add("pca", {"failed": "no"})
    new.add("memory", {"failed": "no"})
    assert list(read_results(path)["results"]) == ["pca", "memory"]
    assert list(read_results(tmp_path / "speed.before.json")["results"]) == ["search"]


def test_failing_section_does_not_stop_the_others(tmp_path, monkeypatch, capsys):
    from benchmarks.speed import pca, search

    out = tmp_path / "speed.json"
    monkeypatch.setattr(search, "measure", lambda _: {}["rows"])
    monkeypatch.setattr(pca, "measure", lambda _: {"n": 9, "d": 3, "rows": {}})
    arguments = ["--quick", "--only", "search,pca", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", ["benchmarks", *arguments])
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit, match="1"):
        bench.main()
    results = read_results(out)["results"]
    assert results["search"]["failed"].startswith("KeyError: 'rows' (test_benchmarks.py:")
    assert results["pca"]["n"] == 9
    assert "search failed: KeyError: 'rows'" in capsys.readouterr().out


def test_run_returns_output_and_costs(tmp_path):
    work = "import sys, os; x = b'1' * (100 << 20); print(os.getcwd()); sys.exit(3)"
    done = child_process.run([sys.executable, "-c", work], cwd=tmp_path, code=3)
    assert done.out == f"{tmp_path}\n"
    assert done.seconds > 0 < done.cpu_seconds
    with pytest.raises(child_process.ChildError, match="exit code 3: the reason"):
        child_process.run([sys.executable, "-c", "print('the reason\\n'); exit(3)"], cwd=tmp_path)


def test_peak_memory_excludes_children(tmp_path):
    work = "import time; x = b'1' * (100 << 20); del x; time.sleep(0.3)"
    in_child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {work!r}])"
    own_peak, parent_peak = (
        child_process.run([sys.executable, "-c", code], cwd=tmp_path).peak_bytes
        for code in (work, in_child)
    )
    assert parent_peak < 100 << 20 < own_peak


def test_failing_measurement_is_recorded(capsys):
    def fails():
        raise child_process.ChildError("exit code 1: no")

    row = Row("s")
    measure_row(row, "row", lambda: (2.0, {"cpu_seconds": 1.0}))
    measure_row(row, "row", fails)
    assert (row.values, row.failed) == ([2.0], "exit code 1: no")
    assert "failed: exit code 1: no" in capsys.readouterr().out


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupt_leaves_results_and_no_processes(sent, code, tmp_path):
    # A process in another session, as the sender is.
    child = "import subprocess; subprocess.Popen(['sleep', '77'], start_new_session=True).wait()"
    program = f"""
import sys
from pathlib import Path
from benchmarks import __main__ as bench
from benchmarks.speed import child_process, search, sweep
bench.machine_info = lambda *_: {{"load": [0, 0, 0]}}
search.measure = lambda _: {{"failed": "no"}}
sweep.measure = lambda _: child_process.run([sys.executable, "-c", {child!r}], cwd=Path.cwd())
sys.argv = ["benchmarks", "--quick", "--only", "search,sweep", "--out", "speed.json"]
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
    _, err = main.communicate(timeout=30)
    assert main.returncode == code
    assert sent == signal.SIGTERM or err.endswith("left running; search saved in speed.json\n")
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not alive
    assert not list(work.iterdir())
    assert list(read_results(tmp_path / "speed.json")["results"]) == ["search"]


@pytest.mark.slow
@pytest.mark.timeout(1800)  # three minutes on an idle machine
def test_quick_run(tmp_path):
    folder = tmp_path / "tmp"
    folder.mkdir()
    out = tmp_path / "speed.json"
    photos = link_photos([], 40, tmp_path / "my photos")[0].parent.parent
    arguments = ["--quick", "--photos", photos, "--out", out]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *map(str, arguments)],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(folder), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(out.read_text())
    sections = results["results"]
    assert list(sections) == list(SECTIONS)
    assert sections["embedding"]["photos"] == 40 < PHOTOS
    rows = {
        f"embedding {method}": row
        for method, row in sections["embedding"]["backbones"]["mobilenet"].items()
    }
    for section in SECTIONS[1:]:
        rows |= {f"{section} {name}": row for name, row in sections[section]["rows"].items()}
    rows.pop("embedding torch")  # may not be installed
    incomplete = {name: row["failed"] for name, row in rows.items() if len(row["values"]) != 1}
    assert incomplete == {}
    ours = rows["embedding ours"]["details"][0]
    assert ours["photos"] == 40
    heavy = {name: set(rows[f"startup {name}"]["imports"]["heavy"]) for name in ("help", "mistake")}
    assert heavy == {"help": set(), "mistake": set()}
    assert None not in {goal["met"] for goal in results["goals"]}
    assert "not measured" not in markdown(results)
    assert not list(folder.glob("speed-*"))
    assert not (tmp_path / "mlflow.db").exists()


@pytest.mark.slow
def test_uncertainty_measures_intervals_tests_and_tables(tmp_path):
    out = tmp_path / "uncertainty.json"
    arguments = ["--sets", "4", "--resamples", "50", "--queries", "100", "--out", out]
    subprocess.run(
        [sys.executable, "-m", "benchmarks.uncertainty", *map(str, arguments)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
    )
    results = json.loads(out.read_text())
    assert len(results["coverage"]) == 3 * 8 * 3
    assert len(results["coverage_of_clusters"]) == 3 * 7 * 6
    assert len(results["false_positives_of_clusters"]) == 3 * 7 * 7
    assert len(results["false_positives_of_unlike_methods"]) == 3 * 4
    assert {"2 equal", "50 equal"} <= set(results["tables_of_runs"])
    for rates in results["tables_of_runs"].values():
        assert set(rates) == {"wrong", "wrong_holm", "found", "found_holm"}
        assert all(0 <= rate <= 1 for rate in rates.values())
