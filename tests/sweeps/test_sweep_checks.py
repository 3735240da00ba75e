"""Checks before the first job of a sweep."""

import pytest
from omegaconf import OmegaConf

from outliers_bench.errors import BenchError
from outliers_bench.evaluation.metrics import is_score, lower_is_better
from outliers_bench.leakage.audited_splits import splits
from outliers_bench.result import FinishedRun
from outliers_bench.sweeps.objective import check_metric_name, check_objective, objective_of
from outliers_bench.sweeps.plugins import decide_direction
from outliers_bench.tracking.log_result import collect_metrics
from tests.command_line import in_process
from tests.results import make_result, make_split
from tests.sweeps.sweep_runs import DATA


def test_objectives_are_checked_before_the_first_job():
    check_objective("precision_at_5", [1, 5])
    check_objective("search_ms_per_query", [1], labeled=False)
    with pytest.raises(BenchError, match=r"objective=hit_at_2: 2 .*k=\[1, 5\]"):
        check_objective("hit_at_2", [1, 5])
    with pytest.raises(BenchError, match=r"objective=balanced/hit_at_2: 2 .*k=\[1, 5\]"):
        check_objective("balanced/hit_at_2", [1, 5])
    with pytest.raises(BenchError, match=r"no labels.*search_ms_per_query"):
        check_objective("map_at_r", [1], labeled=False)
    finished = FinishedRun("ab", "a run", "toy", 0.0, {"mrr": 0.25})
    assert objective_of(finished, "mrr") == 0.25
    with pytest.raises(BenchError, match=r"objective=mr: .*no such metric.*mrr"):
        objective_of(finished, "mr")
    assert not is_score("index_bytes")


def test_a_misspelled_objective_is_refused_with_a_suggestion():
    for known in ("mrr", "ci95/hit_at_1_low", "seconds_search", "val_loss", "weight_vgg16"):
        check_metric_name(known, [1])
    for known in ("balanced/hit_at_1", "balanced/mrr", "ci95/balanced/hit_at_1_high"):
        check_metric_name(known, [1])
    for unknown in ("", "hit_at_l", "balanced/", "balanced/search_ms_per_query", "ci95/mrr"):
        with pytest.raises(
            BenchError, match=f"objective={unknown}: no metric .*available: hit_at_1,"
        ):
            check_metric_name(unknown, [1])
    with pytest.raises(BenchError, match="did you mean map_at_r"):
        check_metric_name("map_at_R", [1])


@pytest.mark.parametrize(
    ("objective", "requested", "direction"),
    [
        ("hit_at_1", None, "maximize"),
        ("images_per_second", None, "maximize"),
        ("recall_at_10", None, "maximize"),
        ("search_ms_per_query", None, "minimize"),
        ("index_bytes", "maximize", "maximize"),
        ("map_at_r", "minimize", "minimize"),
    ],
)
def test_the_direction_follows_from_the_objective_by_default(
    objective, requested, direction, caplog
):
    overrides = [f"hydra.sweeper.direction={requested}"] if requested else []
    hydra = {"sweeper": {"direction": requested or "minimize"}, "overrides": {"hydra": overrides}}
    config = OmegaConf.create({"objective": objective, "hydra": hydra})
    assert decide_direction(config) == direction
    assert config.hydra.sweeper.direction == direction
    assert len(caplog.records) == (1 if requested else 0)
    config.hydra.sweeper = {}  # the sweeper of a grid has no direction
    assert decide_direction(config) == ("minimize" if lower_is_better(objective) else "maximize")


OPTUNA = ("hydra/sweeper=optuna", "pca.n=choice(2,3)")
REFUSED = {
    "missing photos": (["data=folder", "data.root=nowhere", "seed=0,1"], "root=nowhere"),
    "no photos given": (["data=folder", "seed=0,1"], "data.root is missing"),
    "an invalid store": (["tracking.uri=mlruns", "seed=0,1"], "tracking.uri=mlruns"),
    "missing weights": (["weights_dir=nowhere", "seed=0,1"], "weights_dir=nowhere"),
    "an unknown table": (
        ["+experiments/models_we_build=glob(*)"],
        "no such table; did you mean models_we_built?",
    ),
    "a pattern without a match": (["model=glob(zzz*)"], "none of model matches (available: cnn_"),
    "an unknown group": (["modl=glob(*)"], "no such group; did you mean model?"),
    "an empty range": (["seed=range(3,3)"], "seed=range(3,3): no value"),
    "a misspelled objective": (["objective=mr", "seed=0,1"], "did you mean mrr?"),
    "an objective not measured": (["objective=hit_at_5", "seed=0,1"], "k=[1, 3]"),
    "no trials": ([*OPTUNA, "hydra.sweeper.n_trials=0"], "n_trials=0: must be at least 1"),
    "an unknown direction": (
        [*OPTUNA, "hydra.sweeper.direction=max"],
        "direction=max: must be minimize or max",
    ),
    "two objectives": ([*OPTUNA, "objective=choice(mrr,map_at_r)"], "optimizes one objective"),
    "invalid storage": (
        [*OPTUNA, "hydra.sweeper.storage=sqlite:////nowhere/x.db"],
        "storage=sqlite:////nowhere/x.db cannot be opened: ",
    ),
    "no parallel jobs": (
        ["hydra/launcher=joblib", "hydra.launcher.n_jobs=0", "seed=0,1"],
        "n_jobs=0",
    ),
}
HEAVY = ("invalid storage", "two objectives", "no parallel jobs", "an objective not measured")


def _marks(case):
    plugin = any(word.startswith("hydra/") for word in REFUSED[case][0])
    return [
        *([pytest.mark.slow] if case in HEAVY else []),
        *([pytest.mark.extra("sweep")] if plugin else []),
    ]


@pytest.mark.parametrize("case", [pytest.param(case, marks=_marks(case)) for case in REFUSED])
def test_a_refused_sweep_leaves_nothing(case, tmp_path, monkeypatch, capsys):
    """The error is one line, before any job."""
    arguments, expected = REFUSED[case]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OUTLIERS_BENCH_CACHE", str(tmp_path / "cache"))
    has_data = any(word.startswith("data=") for word in arguments)
    done = in_process(monkeypatch, capsys, "-m", *(() if has_data else DATA), *arguments)
    assert done.code == 2, done.err
    lines = done.err.strip().splitlines()
    assert len(lines) == 1, done.err
    assert lines[0].startswith("error: ")
    assert expected in lines[0]
    assert {path.name for path in tmp_path.iterdir()} <= {"cache"}
    assert not splits._sharing  # else a later run of this process could get photos of this one


def test_a_missing_extra_is_reported_with_how_to_install_it():
    from hydra.errors import MissingConfigException

    from outliers_bench.config.hydra_errors import explain

    for option in ("hydra/sweeper/optuna", "hydra/launcher/joblib"):
        error = MissingConfigException("not found", option, options=["basic"])
        assert "python -m pip install 'hydra-joblib-launcher>=" in explain(error)


def test_every_metric_of_a_run_may_be_an_objective():
    for name in collect_metrics(make_result(make_split())):
        if name.startswith("chance/"):  # of the queries, not of the run
            continue
        check_metric_name(name, [1])


def test_an_old_metric_name_is_refused_with_the_new_one():
    with pytest.raises(BenchError, match="use objective=queries_without_relevant"):
        check_metric_name("queries_unanswerable", [1])
