"""Winner of a sweep with a validation part: chosen there, and run once on the other queries."""

import re

import pytest

from outliers_bench.config.schema import register
from outliers_bench.leaderboard import build_boards
from outliers_bench.leaderboard.sentences import title
from outliers_bench.sweeps.trials import Trial, find_winner, trials_of
from outliers_bench.tracking.runs import PARENT_TAG
from outliers_bench.tracking.store import open_client
from tests.command_line import bench, in_process
from tests.sweeps.sweep_runs import DATA, jobs, parents, table_of

GRID = (*DATA, "data.validation=0.2", "model.image_size=8", "pca.n=2,4,6")
SEARCH = (
    *(*DATA, "hydra/sweeper=optuna", "hydra.sweeper.n_trials=3", "hydra.sweeper.sampler.seed=3"),
    *("objective=map_at_r", "model.image_size=choice(4,6,8)", "pca.n=range(2,8)"),
)


def by_part(workdir):
    """Return the jobs that ranked the validation queries, and those that ranked the others."""
    runs = jobs(workdir)
    is_validation = [run.data.tags.get("evaluate") == "validation" for run in runs]
    return (
        [run for run, is_in in zip(runs, is_validation, strict=True) if is_in],
        [run for run, is_in in zip(runs, is_validation, strict=True) if not is_in],
    )


def trial(value, *overrides):
    return Trial(overrides, {"mrr": value}, "validation", "s")


def test_the_winner_is_the_best_trial_and_ties_do_not_depend_on_the_order():
    trials = [trial(0.5, "b=1"), trial(0.7, "b=3"), trial(0.7, "b=2"), trial(0.1, "b=4")]
    for ordered in (trials, trials[::-1]):
        best = find_winner(ordered, objective="mrr", direction="maximize")
        assert best.overrides == ("b=2",)
        least = find_winner(ordered, objective="mrr", direction="minimize")
        assert least.overrides == ("b=4",)
    assert find_winner([], objective="mrr", direction="maximize") is None


def test_a_grid_chooses_on_validation_and_measures_the_winner_once(workdir, monkeypatch, capsys):
    done = in_process(monkeypatch, capsys, "-m", *GRID)
    assert done.code == 0, done.err
    on_validation, (final,) = by_part(workdir)
    (parent,) = parents(workdir)
    assert len(on_validation) == 3
    runs = [*on_validation, final]
    assert {run.data.tags[PARENT_TAG] for run in runs} == {parent.info.run_id}

    scores = {run.data.params["pca.n"]: run.data.metrics["hit_at_1"] for run in on_validation}
    best = max(scores.values())
    tied = [n for n, score in scores.items() if score == best]
    assert final.data.params["pca.n"] == min(tied)
    assert parent.data.metrics["hit_at_1"] == final.data.metrics["hit_at_1"]
    assert parent.data.metrics["validation/hit_at_1"] == best
    assert parent.data.tags["best_run_id"] == final.info.run_id
    assert parent.data.tags["best_parameters"] == f"pca.n={min(tied)}"
    assert (parent.info.status, parent.data.tags["n_finished"]) == ("FINISHED", "4")
    note = parent.data.tags["mlflow.note.content"]
    assert "4 of 4 jobs finished" in note
    assert "| queries | 6 | 24 |" in note
    assert f"Winner of 3 jobs: pca.n={min(tied)}" in done.out
    assert re.search(r"\nqueries +6 +24\n", done.out)
    # The repeated command chooses and measures again.
    assert "data.evaluate" not in parent.data.tags["overrides"]

    parts = [{row["query"] for row in table_of(run, "per_query.csv")} for run in runs]
    assert parts[0] == parts[1] == parts[2]
    assert not parts[0] & parts[3]
    boards = build_boards(open_client(f"sqlite:///{workdir}/mlflow.db"), runs, metric="hit_at_1")
    assert sorted(len(board.rows) for board in boards) == [1, 3]
    titles = sorted(title(board).partition(", ")[0] for board in boards)
    assert titles == ["synthetic: 24 queries", "synthetic: 6 validation queries"]


@pytest.mark.slow
def test_an_interrupted_final_run_is_all_that_the_same_command_does(workdir, monkeypatch, capsys):
    from outliers_bench.sweeps import winner

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(winner, "to_hydra", interrupt)  # the last call before the run
        assert in_process(monkeypatch, capsys, "-m", *GRID, "skip_finished=true").code == 130
    assert [len(part) for part in by_part(workdir)] == [3, 0]
    done = in_process(monkeypatch, capsys, "-m", *GRID, "skip_finished=true")
    assert done.code == 0, done.err
    assert [len(part) for part in by_part(workdir)] == [3, 1]
    assert sorted(run.info.status for run in parents(workdir)) == ["FINISHED", "KILLED"]

    done = in_process(monkeypatch, capsys, "-m", *GRID, "skip_finished=true")
    assert done.code == 0, done.err
    assert [len(part) for part in by_part(workdir)] == [3, 1], "the winner is not run again"
    assert "Winner of 3 jobs" in done.out


def test_the_winner_of_the_jobs_that_finished_is_measured(workdir, monkeypatch, capsys):
    options = (*DATA, "data.validation=0.2", "model.image_size=8", "pca.n=2,999")
    done = in_process(monkeypatch, capsys, "-m", *options)
    assert done.code == 1
    assert "pca.n=999 is too large" in done.err
    assert [len(part) for part in by_part(workdir)] == [1, 2]
    (parent,) = parents(workdir)
    assert parent.data.tags["mlflow.note.content"].startswith("2 of 3 jobs finished, 1 failed")


@pytest.mark.slow
def test_jobs_on_different_splits_have_no_winner(workdir, monkeypatch, capsys):
    options = (*DATA, "data.validation=0.2", "model.image_size=8", "seed=0,1")
    done = in_process(monkeypatch, capsys, "-m", *options)
    assert done.code == 0, done.err
    assert "measured on different splits, so there is no winner" in done.err
    assert [len(part) for part in by_part(workdir)] == [2, 0]


def test_a_part_that_cannot_be_taken_is_refused_before_the_first_job(workdir, monkeypatch, capsys):
    done = in_process(monkeypatch, capsys, "-m", *DATA, "data.validation=0.001", "pca.n=2,4")
    assert done.code == 2
    (line,) = done.err.strip().splitlines()
    assert "data.validation=0.001: the 30 queries of synthetic" in line
    assert not jobs(workdir) + parents(workdir)


@pytest.mark.extra("sweep")
@pytest.mark.slow
def test_a_search_has_a_validation_part_unless_it_is_turned_off(workdir):
    done = bench("-m", *SEARCH, "skip_finished=true", cwd=workdir)
    assert done.code == 0, done.err
    on_validation, (final,) = by_part(workdir)
    best = max(run.data.metrics["map_at_r"] for run in on_validation)
    (parent,) = parents(workdir)
    assert parent.data.metrics["validation/map_at_r"] == best
    assert parent.data.metrics["map_at_r"] == final.data.metrics["map_at_r"]
    assert "Winner of 3 jobs" in done.out
    assert bench("-m", *SEARCH, "data.validation=0", cwd=workdir).code == 0
    assert len(by_part(workdir)[0]) == len(on_validation)
    assert "Winner" not in bench("-m", *SEARCH, "data.validation=0", cwd=workdir).out


@pytest.mark.extra("sweep")
def test_trials_of_a_study_with_the_same_fixed_options_count():
    import optuna

    register()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize")
    values = {2: 0.9, 6: 0.9, 3: 0.4, 5: 0.7, 4: 0.5}
    for n, value in values.items():
        study.enqueue_trial({"pca.n": n})
        planned = study.ask()
        planned.suggest_categorical("pca.n", [2, 3, 4, 5, 6])
        planned.set_user_attr("k", "[1,3]" if n == 2 else "[1]")
        if n == 3:
            planned.set_user_attr("skip_finished", "true")  # decides on no figure
        if n == 6:
            planned.set_user_attr("data.root", "other")
        study.tell(planned, value)
    own = [trial(0.5, "k=[1]", "pca.n=4", "hydra.mode=RUN")]
    found = trials_of(study, "mrr", own)
    assert [each.metrics["mrr"] for each in found] == [0.4, 0.7]
    best = find_winner([*own, *found], objective="mrr", direction="maximize")
    assert best.overrides == ("pca.n=5", "k=[1]", "hydra.mode=RUN")
