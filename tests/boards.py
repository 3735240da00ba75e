"""Fabricated runs in MLflow for tests that compare runs."""

from __future__ import annotations

from outliers_bench.tracking.store import experiment_id

NAME = "board"  # the data of `record`
DETAILED = "detailed"  # the data of `detailed`
TABLE = "models_we_built"
QUERIES = 40
NASTY = "<script>alert(1)</script>"


def record(uri, client, *, model, hit, fingerprint="one", identity=None, fail=False):
    """Record a run with fabricated scores, enough for a leaderboard."""
    tags = {"kind": "run", "data": NAME, "model": model, "reduction": "none", "index": "exact"}
    tags["variant"] = "8px"
    tags |= {
        "similarity": "cosine",
        "split_fingerprint": fingerprint,
        "identity": identity or model,
    }
    run = client.create_run(experiment_id(client, NAME), tags=tags, run_name=model)
    if hit is not None:
        client.log_metric(run.info.run_id, "hit_at_1", hit)
        client.log_metric(run.info.run_id, "map_at_r", hit / 3)
        client.log_metric(run.info.run_id, "search_ms_per_query", 12.5 * hit)
        client.log_metric(run.info.run_id, "index_bytes", 2048 * hit)
    client.set_terminated(run.info.run_id, "FAILED" if fail else "FINISHED")
    return run.info.run_id


def detailed(client, model, hits, *, row=None, data=DETAILED, status="FINISHED", **more):
    """Record a run with everything that a real one has; `hits` queries have a correct first hit."""
    tags = {"kind": "run", "data": data, "model": model, "variant": "8px", "reduction": "none"}
    tags |= {"index": "exact", "similarity": "cosine", "overrides": f"model={model} 'pca.n=[1, 2]'"}
    if "failure" not in more:
        tags |= {"split_fingerprint": "one", "identity": f"{data}{model}{row}"}
    if row is not None:
        tags |= {"table": TABLE, "row": row, f"published.{TABLE}": row}
    run = client.create_run(
        experiment_id(client, data), tags=tags | more, run_name=f"{model} 8px · exact"
    )
    if hits is not None:
        correct = [int(query < hits) for query in range(QUERIES)]
        metrics = {
            "hit_at_1": hits / QUERIES,
            "map_at_r": hits / 3 / QUERIES,
            "hit_at_5": 0.9 + hits / 999,
        }
        metrics |= {f"ci95/{name}_low": value * 0.9 for name, value in metrics.items()}
        metrics |= {
            f"ci95/{name}_high": value * 1.07 for name, value in metrics.items() if name[0] != "c"
        }
        metrics |= {"images_per_second": 7 + hits / 7, "search_ms_per_query": 1 / (1 + hits)}
        metrics |= {"index_bytes": 1000 * hits, "dimensions": 64, "queries": QUERIES}
        for name, value in metrics.items():
            client.log_metric(run.info.run_id, name, value)
        lines = [f"{query}.jpg,{hit}" for query, hit in enumerate(correct)]
        client.log_text(run.info.run_id, "\n".join(["query,hit_at_1", *lines]), "per_query.csv")
        classes = [f"{NASTY},20,{hits / 7 / QUERIES}", f"NA,20,{hits / QUERIES}"]
        client.log_text(
            run.info.run_id, "\n".join(["class,queries,hit_at_1", *classes]), "per_class.csv"
        )
    client.set_terminated(run.info.run_id, status)
    return run.info.run_id
