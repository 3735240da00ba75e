"""What `python -m benchmarks.report` makes of figures: ratios, goals, tables, pages."""

import json
from pathlib import Path

import pytest

from benchmarks.report import fill, markdown, telling, terminal
from benchmarks.report.__main__ import main
from benchmarks.speed.goals import goals
from benchmarks.speed.rows import Row, limit, ratio, settle_limit

ROOT = Path(__file__).parent.parent
SECTION = {"took_seconds": 240, "load": [0.25, 0, 0]}


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
    assert ratio([1, 2], [0, 2]) is None
    assert ratio([1], [0, 0]) is None


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
    more = {
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
    found = {
        "embedding": {"photos": 1000, "backbones": {"mobilenet": ways, "resnet50": more}},
        "economy": {"photos": 2221, "count": 12, "rows": commands},
        "startup": {"failed": "KeyError: 'rows' (startup.py:7)"},
        "search": {"n": 43_455, "d": 500, "queries": 5000, "depth": 10, "rows": searches},
        "memory": {
            "few": 2000,
            "many": 20_000,
            "rows": {f"{what}, {n}": peaks[n] for what in ("embedding", "command") for n in peaks},
        },
    }
    found = {name: section | SECTION for name, section in found.items()}
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
        "results": found,
        "goals": [goal.as_dict() for goal in goals(found)],
    }


def test_goals(results):
    found = {goal["what"]: (goal["found"], goal["met"]) for goal in results["goals"]}
    assert found == {
        "mobilenet: ours, of the limit": (pytest.approx(90 / 100, abs=0.003), True),
        "mobilenet: ours, of the notebook way": (90 / 8, True),
        "mobilenet: ours, of the dataset way": (2.0, False),
        "resnet50: ours, of the limit": (None, None),
        "12 variants as a second command, of the first run": (pytest.approx(0.15), True),
        "11 more variants in the first run's own command, of the first run": (
            pytest.approx(0.125),
            True,
        ),
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
    assert "Load before: 0.25. Median of 3," in told
    assert " in 20 minutes." in told
    assert "| a stored run, interpreter start included | at most 5 s | 5.1 s | **no** |" in told
    assert (
        "| **this project**: photos on disk to stored features | 90.0 (88.0–92.0) |  | 9.00 |  |"
        in told
    )
    assert "`load_img` and `predict`, photo by photo | 8.00 | 11.2 × | – |  |" in told
    assert "| PyTorch, the better of eager and compiled | – |  | 6.00 | 1.50 × |" in told
    assert "mobilenet, torch: PyTorch is not installed" in told
    assert "resnet50, torch: torch 2.13.0, transformers 5.23.0; compiled." in told
    assert "| 12 variants after it, as a second command | 6.30 (6.00–7.00) | 15% |" in told
    assert "leaderboard included: 15% of the first run." in told
    assert "which is what that command takes longer: 12% of the first run." in told
    assert "startup failed: KeyError: 'rows' (startup.py:7)" in told
    assert "| scikit-learn, KD tree | 95.0 | 95.0 × |" in told
    widths = {len(line.split("|")) for line in told.splitlines() if line.startswith("| **this")}
    assert widths == {6, 7}  # every row as wide as its head


def test_on_a_terminal_columns_stand_under_each_other(results):
    lines = terminal(results).splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("goal "))
    assert {line.find(" at ") for line in lines[head + 1 : head + 11]} == {
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
    assert "| 90% of the machine's limit, 11.2 times as fast as the notebooks' way |" in once
    assert "15% of the first run's 42.0 (40.0–44.0) s; 12% in the same command |" in once
    assert "| 1.25 times as long as faiss alone, 95.0 times as fast as a KD tree |" in once
    with pytest.raises(ValueError, match="no <!-- speed -->"):
        fill(page, "speed", "")


@pytest.mark.parametrize(
    ("page", "name"), [("docs/speed.md", "speed"), ("README.md", "speed-rows")]
)
def test_our_pages_have_the_markers(page, name):
    assert "filled" in fill((ROOT / page).read_text(), name, "filled")


def test_the_report_fills_all_its_pages_or_none(tmp_path, results, capsys):
    file, good, bad = (tmp_path / name for name in ("speed.json", "good.md", "bad.md"))
    file.write_text(json.dumps(results))
    good.write_text("<!-- speed -->\n<!-- /speed -->\n")
    bad.write_text("no markers")
    before = good.read_text()
    for page, told in ((bad, "has neither"), (tmp_path / "nope.md", "no such file")):
        refused([file, "--into", good, page], f"--into {page}: {told}", capsys)
        assert good.read_text() == before
    main([str(file), "--into", str(good)])
    assert "A processor" in good.read_text()


def test_pages_take_only_whole_and_real_results(tmp_path, results, capsys):
    file, page = tmp_path / "speed.json", tmp_path / "page.md"
    page.write_text("<!-- speed -->\n<!-- /speed -->\n")
    before = page.read_text()
    results["results"]["search"] = {"failed": "no"} | SECTION
    file.write_text(json.dumps(results))
    refused([file, "--into", page], "lacks search; python -m benchmarks --only search", capsys)
    results["options"]["quick"] = True
    file.write_text(json.dumps(results))
    refused([file, "--into", page], "quick run", capsys)
    assert page.read_text() == before
    main([str(file)])  # to be looked at, all the same


@pytest.mark.parametrize("content", [None, "{", "[]", "{}"])
def test_what_is_no_result_is_told(content, tmp_path, capsys):
    file = tmp_path / "nope.json"
    if content is not None:
        file.write_text(content)
    refused([file], f"{file}: {'no such file' if content is None else 'is not what'}", capsys)


def refused(words, told, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(list(map(str, words)))
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line


def test_the_limit_is_at_one_batch_size_and_not_at_the_luckiest_of_each_repeat():
    told = [{"1": 100.0, "4": 90.0}, {"1": 80.0, "4": 95.0}, {"1": 110.0, "4": 85.0}]
    details = [{"rates": rates, "decode_seconds": 0.0, "cores": 2} for rates in told]
    row = Row("photos/s", values=[100.0, 95.0, 110.0], details=details)
    settle_limit(row)
    assert row.values == pytest.approx([100, 80, 110])
    assert [one["batch"] for one in row.details] == [1, 1, 1]
    settle_limit(Row("photos/s", failed="nothing was measured"))
