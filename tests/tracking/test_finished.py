"""Finished runs are found in the outbox and in MLflow; a store that is away is no error."""

from dataclasses import replace

from outliers_bench.config.schema import Tracking
from outliers_bench.evaluation.statistics import add_statistics
from outliers_bench.tracking.active_run import start_run
from outliers_bench.tracking.finished import find_finished
from outliers_bench.tracking.log_result import collect_metrics, log_result
from tests.results import make_config, make_result, make_split


def record_run(outbox, identity):
    config = make_config(outbox.uri, name="sought", cache=outbox.cache)
    config.contact_sheets.queries = 0
    result = make_result(make_split("sought"))
    scored = add_statistics(result.evaluation, result.split, cluster="label")
    result = replace(result, evaluation=scored)
    with start_run(config, result.split, identity=identity) as run:
        log_result(run, result, config)
    return config, result, run.box


def test_a_run_that_waits_is_found_with_its_metrics_as_a_delivered_one(outbox):
    config, result, box = record_run(outbox, "waits")
    waiting = find_finished(config, result.split, "waits", [])
    assert waiting.run_id == box.key
    assert waiting.metrics == collect_metrics(result)
    assert waiting.cluster == "label"
    assert find_finished(config, result.split, "another", []) is None
    outbox.deliver()
    delivered = find_finished(config, result.split, "waits", [])
    assert delivered == replace(waiting, run_id=box.run.run_id)


def test_a_run_that_failed_or_has_not_ended_does_not_count(outbox):
    config, result, box = record_run(outbox, "failed")
    end = box.pending()[-1]
    end.write_text(end.read_text().replace("FINISHED", "FAILED"))
    assert find_finished(config, result.split, "failed", []) is None
    end.unlink()
    assert find_finished(config, result.split, "failed", []) is None


def test_a_store_that_is_away_is_a_warning(outbox, caplog):
    config = make_config(outbox.uri, name="sought", cache=outbox.cache)
    config = replace(config, tracking=Tracking(uri="http://127.0.0.1:9"))
    assert find_finished(config, make_split("sought"), "x", []) is None
    (record,) = caplog.records
    assert "no MLflow server answers there" in record.getMessage()
