"""Lookup of recorded runs: by id, by a prefix of it, or as the last."""

from unittest.mock import Mock

import pytest

from outliers_bench.errors import BenchError
from outliers_bench.tracking.lookup import check_store_exists, download_artifact, find_run
from outliers_bench.tracking.store import experiment_id, open_client
from tests.boards import NAME


def end_run(client, at, *, status="FINISHED", kind="run"):
    run = client.create_run(
        client.get_experiment_by_name(NAME).experiment_id,
        start_time=0,
        tags={"kind": kind, "data": NAME},
        run_name=f"ended at {at}",
    )
    client.set_terminated(run.info.run_id, status, end_time=at)
    return run.info.run_id


def test_a_run_is_found_by_id_or_prefix(client, runs):
    run_id = runs["b"]
    run = find_run(client, run_id)
    assert (run.info.run_id, run.info.run_name, run.data.tags["model"]) == (run_id, "b", "b")
    unique = next(n for n in range(4, 33) if sum(i[:n] == run_id[:n] for i in runs.values()) == 1)
    assert find_run(client, run_id[: max(unique, 12)]).info.run_id == run_id


def test_last_is_the_run_that_finished_last_and_only_finished_runs_are_found(
    fresh_uri, monkeypatch
):
    client = open_client(fresh_uri)
    experiment_id(client, NAME)
    far = 4_000_000_000_000
    last = end_run(client, far + 1)
    end_run(client, far)
    failed = end_run(client, far + 2, status="FAILED")
    sweep = end_run(client, far + 2, kind="sweep")
    deleted = end_run(client, far + 3)
    client.delete_run(deleted)
    monkeypatch.setattr(client, "search_runs", mock := Mock(wraps=client.search_runs))
    assert find_run(client, "last").info.run_id == last
    # Only one run is requested, because a page with all metrics takes seconds.
    assert [call.kwargs["max_results"] for call in mock.call_args_list] == [1]
    for other, message in (
        (deleted, f"ended at {far + 3} was deleted in MLflow; the last runs"),
        (failed, f"is FAILED, and only a finished run .*: {last[:8]}"),
        (sweep, "is a sweep; give one of its runs"),
    ):
        with pytest.raises(BenchError, match=message):
            find_run(client, other)


@pytest.mark.parametrize("wrong", ["", "abc", "LAST", "zzzz", "%", "a' or 1=1", "0" * 33])
def test_an_invalid_id_is_refused_with_the_last_runs(client, runs, wrong):
    message = r"give a run's id, its first 4 or more digits, .*that finished"
    with pytest.raises(BenchError, match=message):
        find_run(client, wrong)


def test_unknown_and_ambiguous_ids_are_refused(client, runs, monkeypatch):
    message = "run=0000aaaa: no such run; the last runs that finished in"
    with pytest.raises(BenchError, match=message):
        find_run(client, "0000aaaa")

    def two_matches(_, query, **__):
        assert query == "attributes.run_id LIKE 'abcd%'"
        return iter([client.get_run(runs["a"]), client.get_run(runs["b"])])

    monkeypatch.setattr("outliers_bench.tracking.lookup.search_runs", two_matches)
    with pytest.raises(BenchError, match=rf"matches several runs \({runs['a'][:8]}.* a on board, "):
        find_run(client, "abcd")


def test_a_missing_artifact_is_reported(client, table_runs, tmp_path):
    path = download_artifact(client, table_runs["best"], "per_query.csv", tmp_path)
    assert path.read_text().startswith("query,hit_at_1")
    with pytest.raises(BenchError, match=r"cannot get ranking\.parquet \(.*move them back"):
        download_artifact(client, table_runs["best"], "ranking.parquet", tmp_path)


def test_a_missing_store_is_not_created(tmp_path):
    with pytest.raises(BenchError, match=r"there is no .*none\.db; start one with"):
        check_store_exists(f"sqlite:///{tmp_path}/none.db")
    assert not list(tmp_path.iterdir())
