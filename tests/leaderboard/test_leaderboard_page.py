"""HTML page and CSV of the leaderboard: metrics of MLflow, and no external or injected content."""

import csv
import re
from html.parser import HTMLParser

import pytest

from outliers_bench.leaderboard.command import run
from tests.boards import NASTY


class Page(HTMLParser):
    """Parser that collects the numbers, addresses and tags of a page."""

    def __init__(self, text):
        super().__init__()
        self.run = self.key = None
        self.values, self.intervals, self.shades, self.texts = {}, {}, [], {}
        self.addresses, self.tags = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append(tag)
        self.addresses += [
            (tag, attributes[name]) for name in ("href", "src", "xlink:href") if name in attributes
        ]
        if tag == "tr":
            self.run = attributes.get("data-run")
        if tag == "td":
            self.key = attributes.get("data-key")
            if self.run and "number" in attributes["class"] and "data-value" in attributes:
                self.values[self.run, self.key] = float(attributes["data-value"])
            elif "shade" in attributes.get("class", ""):
                self.shades.append(float(attributes["data-value"]))
        if tag == "small" and "data-low" in attributes:
            self.intervals[self.run, self.key] = tuple(
                float(attributes[f"data-{e}"]) for e in ("low", "high")
            )

    def handle_data(self, data):
        if self.key and data.strip():
            self.texts.setdefault((self.run, self.key), data.strip())


@pytest.fixture(scope="module")
def page(uri, table_runs, tmp_path_factory):
    out = tmp_path_factory.mktemp("page")
    arguments = [f"uri={uri}", "data=detailed", "format=html,csv", f"out={out}"]
    assert run(arguments) == 0
    return out


def test_numbers_on_the_page_are_the_metrics_of_mlflow(client, table_runs, page):
    text = (page / "leaderboard.html").read_text()
    parsed = Page(text)
    assert {run for run, _ in parsed.values} == set(table_runs.values())
    for run_id in table_runs.values():
        metrics = client.get_run(run_id).data.metrics
        shown = {key: value for (run, key), value in parsed.values.items() if run == run_id}
        other = {"rank", "p", "published_1", "published_5", "published_10"}
        assert {key: metrics[key] for key in shown if key not in other} == {
            key: value for key, value in shown.items() if key not in other
        }
        assert {"hit_at_1", "hit_at_5", "map_at_r", "images_per_second", "index_bytes"} <= set(
            shown
        )
        for name in ("hit_at_1", "hit_at_5", "map_at_r"):
            ends = tuple(metrics[f"ci95/{name}_{end}"] for end in ("low", "high"))
            assert parsed.intervals[run_id, name] == ends
            assert parsed.texts[run_id, name] == f"{metrics[name]:.3f}"
    hits = sorted(client.get_run(run_id).data.metrics["hit_at_1"] for run_id in table_runs.values())
    assert sorted(parsed.shades) == pytest.approx(sorted([hit / 7 for hit in hits] + hits))
    best = client.get_run(table_runs["best"]).data
    assert f"hit@1 {best.metrics['hit_at_1']:.3f} (95% interval" in text
    assert "python -m outliers_bench model=image_matching &#39;pca.n=[1, 2]&#39;" in text


def test_the_page_loads_nothing_and_escapes_names(page, table_runs):
    text = (page / "leaderboard.html").read_text()
    assert NASTY not in text
    assert "&lt;script&gt;alert(1)" in text
    parsed = Page(text)
    assert parsed.tags.count("script") == 1
    assert not {"img", "link", "iframe", "object", "base"} & set(parsed.tags)
    external = [(tag, address) for tag, address in parsed.addresses if not address.startswith("#")]
    assert len(external) == len(table_runs)
    assert all(tag == "a" for tag, _ in external)
    for run_id in table_runs.values():
        assert any(
            address.startswith("http://127.0.0.1:5000/#/experiments/") and run_id in address
            for _, address in external
        )
    assert text.count("http") == len(external) + len(re.findall("http-equiv", text))
    assert "default-src 'none'" in text


def test_the_csv_has_the_metrics_in_full_precision(client, table_runs, page):
    with (page / "leaderboard.csv").open() as file:
        rows = {row["run_id"]: row for row in csv.DictReader(file)}
    assert set(rows) == set(table_runs.values())
    for run_id, row in rows.items():
        for name, value in client.get_run(run_id).data.metrics.items():
            if name != "queries":
                assert float(row[name]) == value
    near = rows[table_runs["near"]]
    assert (near["tied"], near["status"], near["published_top_3"]) == ("True", "finished", "0.5")
    assert float(rows[table_runs["far"]]["p"]) < 0.01
