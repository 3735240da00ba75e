"""Compare the rankings and scores of twelve configurations with another commit, bit by bit.

git worktree add ../before <commit>
python -m benchmarks.same_rankings photos before.json --checkout ../before
python -m benchmarks.same_rankings photos after.json --against before.json

Only the command line and MLflow are used, so that the code of the commits may differ freely.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow.parquet as pq

# Options of each method. Trainings are deterministic, with the same order of summation.
CONFIGURATIONS = {
    "pixels": ("model=pixels",),
    "mobilenet exact": ("model=mobilenet",),
    "mobilenet kd_tree": ("model=mobilenet", "index=kd_tree"),
    "mobilenet HNSW": ("model=mobilenet", "index=faiss_hnsw"),
    "mobilenet PCA 64 whitened": ("model=mobilenet", "pca.n=64", "pca.whiten=true"),
    "mobilenet learned whitening": ("model=mobilenet", "reduce=learned_whitening", "reduce.n=64"),
    "mobilenet k_reciprocal": ("model=mobilenet", "rerank=k_reciprocal"),
    "mobilenet spatial": ("model=mobilenet", "rerank=spatial", "rerank.shortlist=20"),
    "sift": ("model=sift",),
    "sift_vlad": ("model=sift_vlad",),
    "transfer_mobilenet head_only": (
        *("model=transfer_mobilenet", "model.trainable=head_only", "model.epochs=3"),
        "deterministic=true",
    ),
    "ensemble": ("model=ensemble", "model.members=[mobilenet,sift_vlad]", "model.fusion=rrf"),
}
SCORES = ("hit_at_", "precision_at_", "map_at_r", "r_precision", "mrr")
COLUMNS = ("query", "rank", "gallery", "score")


def measure(checkout: Path, photos: Path, options: tuple[str, ...], work: Path) -> dict[str, str]:
    """Run a configuration; return the digest of its ranking, and its scores in hexadecimal."""
    store = f"sqlite:///{work / 'mlflow.db'}"
    command = [
        *(sys.executable, "-m", "outliers_bench", "data=folder", f"data.root={photos}", *options),
        *(f"tracking.uri={store}", "tracking.experiment=same", f"cache.dir={work / 'cache'}"),
        # The same batch size for both, instead of one chosen by timing.
        *("engine.batch_size=8",),
    ]
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    subprocess.run(command, cwd=work, env=environment, check=True, stdout=subprocess.DEVNULL)

    import mlflow

    client = mlflow.MlflowClient(store)
    experiment = client.get_experiment_by_name("same")
    run = client.search_runs([experiment.experiment_id], order_by=["start_time DESC"])[0]
    table = pq.read_table(client.download_artifacts(run.info.run_id, "ranking.parquet"))
    digest = hashlib.blake2b(digest_size=16)
    for name in COLUMNS:
        digest.update(repr(table[name].to_pylist()).encode())
    scores = {
        name: value.hex()
        for name, value in sorted(run.data.metrics.items())
        if name.removeprefix("without_leaks/").startswith(SCORES)
    }
    return {"ranking": digest.hexdigest(), "rows": str(table.num_rows), **scores}


def main() -> None:
    """Run all configurations, write the results, and compare them with those of another commit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path, help="folder of class folders")
    parser.add_argument("out", type=Path, help="JSON file to write")
    parser.add_argument("--checkout", type=Path, default=Path(), help="checkout to run")
    parser.add_argument("--against", type=Path, help="JSON file of another commit")
    arguments = parser.parse_args()
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, options in CONFIGURATIONS.items():
            results[name] = measure(
                arguments.checkout.resolve(), arguments.photos.resolve(), options, Path(folder)
            )
            print(f"{name}: {results[name]['ranking']}", flush=True)
            arguments.out.write_text(json.dumps(results, indent=1))
    if arguments.against is None:
        return
    before = json.loads(arguments.against.read_text())
    print("\n| configuration | rows ranked | scores | ranking | equal |\n|---|---|---|---|---|")
    for name, after in results.items():
        equal = "yes" if before.get(name) == after else "NO"
        digest = after["ranking"][:12]
        print(f"| {name} | {int(after['rows']):,} | {len(after) - 2} | `{digest}` | {equal} |")
    sys.exit(int(results != before))


if __name__ == "__main__":
    main()
