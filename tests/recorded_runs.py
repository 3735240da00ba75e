"""Small runs of the command line, and their records in MLflow."""

import re
from pathlib import Path

from tests.command_line import bench

SMALL = ("data=synthetic", "data.classes=4", "data.individuals=3", "data.images=8", "data.size=32")
NETWORK = ("model=mobilenet", "model.weights=random", "model.image_size=32", "engine=openvino")


def run_cli(workdir: Path, *arguments: str, **env: str):
    cache = str(env.pop("cache", workdir / "cache"))
    return bench(*arguments, cwd=workdir, OUTLIERS_BENCH_CACHE=cache, **env)


def runs(workdir: Path, query: str = "") -> list:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{workdir}/mlflow.db")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return list(client.search_runs(experiments, query))


def recorded_run(workdir: Path, done) -> object:
    """Return the MLflow run whose id was printed."""
    (run_id,) = re.findall(r"\b[0-9a-f]{32}\b", done.out.split("MLflow run", 1)[1])[:1]
    return next(run for run in runs(workdir) if run.info.run_id == run_id)


def scores(run) -> dict[str, float]:
    named = ("hit_at", "precision_at", "map_at_r", "r_precision", "mrr")
    return {k: v for k, v in run.data.metrics.items() if k.startswith(named)}
