"""A run that was recorded earlier: found by its id, a beginning of it, or as the last."""

from unittest.mock import Mock

import pytest

from outliers_bench.errors import BenchError
from outliers_bench.tracking.lookup import check_store_exists, download_artifact, find_run
from outliers_bench.tracking.store import experiment_id, open_client
from tests.boards import NAME


def ended(client, at, *, status="FINISHED", kind="run"):
    run = client.create_run(
        client.get_experiment_by_name(NAME).experiment_id,
        start_time=0,
        tags={"kind": kind, "data": NAME},
        run_name=f"ended at {at}",
    )
    client.set_terminated(run.info.run_id, status, end_time=at)
    return run.info.run_id


def test_by_its_id_or_a_beginning_of_it(client, runs):
    run_id = runs["b"]
    found = find_run(client, run_id)
    assert (found.run_id, found.name, found.tags["model"]) == (run_id, "b", "b")
    unique = next(n for n in range(4, 33) if sum(i[:n] == run_id[:n] for i in runs.values()) == 1)
    assert find_run(client, run_id[: max(unique, 12)]) == found


def test_last_is_the_one_that_finished_last_and_no_other_than_finished_is_given(
    fresh_uri, monkeypatch
):
    client = open_client(fresh_uri)
    experiment_id(client, NAME)
    far = 4_000_000_000_000
    last = ended(client, far + 1)
    ended(client, far)
    failed = ended(client, far + 2, status="FAILED")
    sweep = ended(client, far + 2, kind="sweep")
    deleted = ended(client, far + 3)
    client.delete_run(deleted)
    monkeypatch.setattr(client, "search_runs", mock := Mock(wraps=client.search_runs))
    assert find_run(client, "last").run_id == last
    # One run is asked for: a page of them, with all their numbers, takes seconds.
    assert [call.kwargs["max_results"] for call in mock.call_args_list] == [1]
    for other, told in (
        (deleted, "no such run"),
        (failed, f"is FAILED, and only a finished run .*: {last[:8]}"),
        (sweep, "is a sweep; give one of its runs"),
    ):
        with pytest.raises(BenchError, match=told):
            find_run(client, other)


@pytest.mark.parametrize("wrong", ["", "abc", "LAST", "zzzz", "%", "a' or 1=1", "0" * 33])
def test_what_is_no_id_is_told_with_what_there_is(client, runs, wrong):
    with pytest.raises(BenchError, match=r"give a run's id, 4 or more digits.*there|that finished"):
        find_run(client, wrong)


def test_an_unknown_one_and_one_of_several(client, runs, monkeypatch):
    with pytest.raises(BenchError, match=r"run=0000aaaa: no such run; the last that finished in"):
        find_run(client, "0000aaaa")

    def alike(_, query, **__):
        assert query == "attributes.run_id LIKE 'abcd%'"
        return iter([client.get_run(runs["a"]), client.get_run(runs["b"])])

    monkeypatch.setattr("outliers_bench.tracking.lookup.search_runs", alike)
    with pytest.raises(BenchError, match=rf"several begin so \({runs['a'][:8]}.* a on board, "):
        find_run(client, "abcd")


def test_an_artifact_is_read_where_it_lies(client, table_runs, tmp_path):
    path = download_artifact(client, table_runs["best"], "per_query.csv", tmp_path)
    assert path.read_text().startswith("query,hit_at_1")
    assert not list(tmp_path.iterdir())
    with pytest.raises(BenchError, match=r"has no ranking\.parquet \(looked for "):
        download_artifact(client, table_runs["best"], "ranking.parquet", tmp_path)


def test_a_store_that_is_not_there_is_not_made(tmp_path):
    with pytest.raises(BenchError, match=r"there is no .*none\.db; make one with"):
        check_store_exists(f"sqlite:///{tmp_path}/none.db")
    assert not list(tmp_path.iterdir())
