"""`python -m benchmarks.report`: ratios, goals, tables, pages."""

import json
from pathlib import Path

import pytest

from benchmarks.report import markdown, readme_rows, replace_between_markers, terminal
from benchmarks.report.__main__ import main
from benchmarks.speed.goals import list_goals
from benchmarks.speed.rows import Row, fix_batch_size, median_ratio, throughput_limit

ROOT = Path(__file__).parent.parent
SECTION = {"took_seconds": 240, "load": [0.25, 0, 0]}


def test_limit_shares_the_cores_between_network_and_decoding():
    # 10 ms of both cores to compute, and 2 ms of one core, so 1 ms of both, to decode.
    assert throughput_limit(compute=100, decode_seconds=0.002, cores=2) == pytest.approx(1 / 0.011)
    assert throughput_limit(compute=100, decode_seconds=0, cores=1) == pytest.approx(100)


def test_median_ratio_is_of_repeats():
    # The third repeat was slow for both; the ratio of the medians would be 80 / 100.
    assert median_ratio([80, 90, 47.5], [100, 100, 50]) == pytest.approx(0.9)
    assert median_ratio([10, 60, 30], [10, 20, 30]) == 1
    assert median_ratio([10, 60, 30], [20]) == 1.5
    assert median_ratio([], [1]) is None
    assert median_ratio([1, 2], [0, 2]) is None
    assert median_ratio([1], [0, 0]) is None


def row(unit, *values, **more):
    return {**Row(unit, list(values)).as_dict(), **more}


@pytest.fixture
def results():
    mobilenet = {
        "ours": row("photos/s", 90, 88, 92, conversion_seconds=14.0),
        "limit": row("photos/s", 98, 100, 102),
        "notebook": row("photos/s", 8),
        "dataset": row("photos/s", 40, 44, 46),
        "torch": row("photos/s", failed="PyTorch is not installed"),
    }
    resnet50 = {
        "ours": row("photos/s", 9),
        "torch": row(
            *("photos/s", 6),
            details=[
                {
                    "compiled": True,
                    "imports": 2.0,
                    "versions": {"torch": "2.13.0", "transformers": "5.23.0"},
                }
            ],
        ),
    }
    commands = {
        "first": row("s", 40.0, 44.0, 42.0),
        "together": row("s", 45.0, 49.0, 52.5),
        "variants": row("s", 6.0, 7.0, 6.3),
        "stored": row("s", 5.2, 5.1, 4.9),
    }
    searches = {"ours": row("ms", 1.0), "faiss": row("ms", 0.8), "kd_tree": row("ms", 95.0)}
    peaks = {"few": row("MiB", 500), "many": row("MiB", 520)}
    backbones = {"mobilenet": mobilenet, "resnet50": resnet50}
    sections = {
        "embedding": {"photos": 1000, "backbones": backbones},
        "sweep": {"photos": 2221, "count": 12, "rows": commands},
        "startup": {"failed": "KeyError: 'rows' (startup.py:7)"},
        "search": {"n": 43_455, "d": 500, "queries": 5000, "depth": 10, "rows": searches},
        "memory": {
            "few": 2000,
            "many": 20_000,
            "rows": {f"{work}, {n}": peaks[n] for work in ("embedding", "command") for n in peaks},
        },
    }
    sections = {name: section | SECTION for name, section in sections.items()}
    return {
        "machine": {
            "processor": "A processor",
            "cores": 2,
            "memory_gib": 16.0,
            "python": "3.11.7",
            "versions": {"numpy": "2.4.0"},
            "commit": "abc1234",
            "load": [0.75, 0, 0],
        },
        "options": {"repeats": 3, "quick": False},
        "results": sections,
        "goals": [goal.as_dict() for goal in list_goals(sections)],
    }


def test_goals(results):
    goals = {goal["name"]: (goal["measured"], goal["met"]) for goal in results["goals"]}
    assert goals == {
        "mobilenet: rate relative to the limit": (pytest.approx(90 / 100, abs=0.003), True),
        "mobilenet: speedup over Keras photo by photo": (90 / 8, True),
        "mobilenet: speedup over a Keras dataset": (2.0, False),
        "resnet50: rate relative to the limit": (None, None),
        "12 variants as a second command, relative to the first run": (pytest.approx(0.15), True),
        "11 more variants in the command of the first run, relative to it": (
            pytest.approx(0.125),
            True,
        ),
        "a run on stored features, including interpreter start": (5.1, False),
        "exact search: time relative to faiss alone": (1.25, False),
        "peak memory of the embedding: 20,000 images relative to 2,000": (1.04, True),
        "peak memory of the command: 20,000 images relative to 2,000": (1.04, True),
    }


def test_goal_without_measurement_is_neither_met_nor_missed():
    failed = {"rows": {"ours": row("ms", failed="no"), "faiss": row("ms", 1)}}
    (goal,) = list_goals({"search": failed})
    assert (goal.measured, goal.met) == (None, None)


def test_markdown_tables(results):
    text = markdown(results)
    assert "A processor, 2 cores, 16 GiB, Python 3.11.7; numpy 2.4.0; commit abc1234." in text
    assert "Load before: 0.25. Medians of 3 repeats" in text
    assert " in 20 minutes." in text
    goal = "a run on stored features, including interpreter start"
    assert f"| {goal} | at most 5 s | 5.1 s | **no** |" in text
    assert (
        "| **this project**: photos on disk to stored features | 90.0 (88.0–92.0) |  | 9.00 |  |"
        in text
    )
    assert "`load_img` and `predict`, photo by photo | 8.00 | 11.2 × | – |  |" in text
    assert "| PyTorch, the better of eager and compiled | – |  | 6.00 | 1.50 × |" in text
    assert "mobilenet, torch: PyTorch is not installed" in text
    assert "resnet50, torch: torch 2.13.0, transformers 5.23.0; compiled." in text
    assert "| 12 variants after it, as a second command | 6.30 (6.00–7.00) | 15% |" in text
    assert "the leaderboard of the sweep: 15% of the first run." in text
    assert "the additional time of that command: 12% of the first run." in text
    assert "startup failed: KeyError: 'rows' (startup.py:7)" in text
    assert "| scikit-learn, KD tree | 95.0 | 95.0 × |" in text
    widths = {len(line.split("|")) for line in text.splitlines() if line.startswith("| **this")}
    assert widths == {6, 7}  # every row as wide as its head


def test_terminal_tables_are_aligned(results):
    lines = terminal(results).splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("goal "))
    assert {line.find(" at ") for line in lines[head + 1 : head + 11]} == {
        lines[head].find(" target")
    }
    assert not any("---" in line or "**" in line for line in lines)


def test_text_between_markers_is_replaced(results):
    page = "Before\n<!-- speed-rows -->\nold\n<!-- /speed-rows -->\nAfter\n"
    once = replace_between_markers(page, "speed-rows", readme_rows(results))
    assert once.startswith("Before\n<!-- speed-rows -->\n| ")
    assert once.endswith("|\n<!-- /speed-rows -->\nAfter\n")
    assert "old" not in once
    assert replace_between_markers(once, "speed-rows", readme_rows(results)) == once
    assert "| 90% of the machine's limit, 11.2 times as fast as Keras photo by photo |" in once
    assert "15% of the first run's 42.0 (40.0–44.0) s; 12% in the same command |" in once
    assert "| 1.25 times as long as faiss alone, 95.0 times as fast as a KD tree |" in once
    with pytest.raises(ValueError, match="no <!-- speed -->"):
        replace_between_markers(page, "speed", "")


@pytest.mark.parametrize(
    ("page", "name"), [("docs/speed.md", "speed"), ("README.md", "speed-rows")]
)
def test_pages_have_their_markers(page, name):
    assert "filled" in replace_between_markers((ROOT / page).read_text(), name, "filled")


def test_report_writes_all_pages_or_none(tmp_path, results, capsys):
    file, good, bad = (tmp_path / name for name in ("speed.json", "good.md", "bad.md"))
    file.write_text(json.dumps(results))
    good.write_text("<!-- speed -->\n<!-- /speed -->\n")
    bad.write_text("no markers")
    before = good.read_text()
    for page, message in ((bad, "has neither"), (tmp_path / "nope.md", "no such file")):
        check_error([file, "--into", good, page], f"--into {page}: {message}", capsys)
        assert good.read_text() == before
    main([str(file), "--into", str(good)])
    assert "A processor" in good.read_text()


def test_pages_need_complete_results(tmp_path, results, capsys):
    file, page = tmp_path / "speed.json", tmp_path / "page.md"
    page.write_text("<!-- speed -->\n<!-- /speed -->\n")
    before = page.read_text()
    results["results"]["search"] = {"failed": "no"} | SECTION
    file.write_text(json.dumps(results))
    check_error([file, "--into", page], "lacks search; python -m benchmarks --only search", capsys)
    results["options"]["quick"] = True
    file.write_text(json.dumps(results))
    check_error([file, "--into", page], "quick run", capsys)
    assert page.read_text() == before
    main([str(file)])  # printing is allowed


@pytest.mark.parametrize("content", [None, "{", "[]", "{}"])
def test_other_files_are_rejected(content, tmp_path, capsys):
    file = tmp_path / "nope.json"
    if content is not None:
        file.write_text(content)
    check_error([file], f"{file}: {'no such file' if content is None else 'is not a'}", capsys)


def check_error(arguments, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(list(map(str, arguments)))
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_limit_has_the_same_batch_size_in_all_repeats():
    measured = [{"1": 100.0, "4": 90.0}, {"1": 80.0, "4": 95.0}, {"1": 110.0, "4": 85.0}]
    details = [{"rates": rates, "decode_seconds": 0.0, "cores": 2} for rates in measured]
    row = Row("photos/s", values=[100.0, 95.0, 110.0], details=details)
    fix_batch_size(row)
    assert row.values == pytest.approx([100, 80, 110])
    assert [detail["batch"] for detail in row.details] == [1, 1, 1]
    fix_batch_size(Row("photos/s", failed="nothing was measured"))
