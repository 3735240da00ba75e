"""The leaderboard's page and its CSV: every number is MLflow's, and nothing is loaded or run."""

import csv
import re
from html.parser import HTMLParser

import pytest

from outliers_bench.leaderboard.command import run
from tests.boards import NASTY


class Page(HTMLParser):
    """Which numbers stand where on the page, every address, and every tag."""

    def __init__(self, text):
        super().__init__()
        self.run = self.key = None
        self.values, self.intervals, self.shades, self.texts = {}, {}, [], {}
        self.addresses, self.tags = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append(tag)
        self.addresses += [
            (tag, found[name]) for name in ("href", "src", "xlink:href") if name in found
        ]
        if tag == "tr":
            self.run = found.get("data-run")
        if tag == "td":
            self.key = found.get("data-key")
            if self.run and "number" in found["class"] and "data-value" in found:
                self.values[self.run, self.key] = float(found["data-value"])
            elif "shade" in found.get("class", ""):
                self.shades.append(float(found["data-value"]))
        if tag == "small" and "data-low" in found:
            self.intervals[self.run, self.key] = tuple(
                float(found[f"data-{e}"]) for e in ("low", "high")
            )

    def handle_data(self, data):
        if self.key and data.strip():
            self.texts.setdefault((self.run, self.key), data.strip())


@pytest.fixture(scope="module")
def page(uri, table_runs, tmp_path_factory):
    out = tmp_path_factory.mktemp("page")
    asked = [f"uri={uri}", "data=detailed", "format=html,csv", f"out={out}"]
    assert run(asked) == 0
    return out


def test_every_number_on_the_page_is_mlflows(client, table_runs, page):
    text = (page / "leaderboard.html").read_text()
    found = Page(text)
    assert {run for run, _ in found.values} == set(table_runs.values())
    for run_id in table_runs.values():
        metrics = client.get_run(run_id).data.metrics
        told = {key: value for (run, key), value in found.values.items() if run == run_id}
        beside = {"rank", "p", "published_1", "published_5", "published_10"}
        assert {key: metrics[key] for key in told if key not in beside} == {
            key: value for key, value in told.items() if key not in beside
        }
        assert {"hit_at_1", "hit_at_5", "map_at_r", "images_per_second", "index_bytes"} <= set(told)
        for name in ("hit_at_1", "hit_at_5", "map_at_r"):
            ends = tuple(metrics[f"ci95/{name}_{end}"] for end in ("low", "high"))
            assert found.intervals[run_id, name] == ends
            assert found.texts[run_id, name] == f"{metrics[name]:.3f}"
    hits = sorted(client.get_run(run_id).data.metrics["hit_at_1"] for run_id in table_runs.values())
    assert sorted(found.shades) == pytest.approx(sorted([hit / 7 for hit in hits] + hits))
    best = client.get_run(table_runs["best"]).data
    assert f"hit@1 {best.metrics['hit_at_1']:.3f} (95% interval" in text
    assert "python -m outliers_bench model=image_matching &#39;pca.n=[1, 2]&#39;" in text


def test_the_page_loads_nothing_and_runs_no_names(page, table_runs):
    text = (page / "leaderboard.html").read_text()
    assert NASTY not in text
    assert "&lt;script&gt;alert(1)" in text
    found = Page(text)
    assert found.tags.count("script") == 1
    assert not {"img", "link", "iframe", "object", "base"} & set(found.tags)
    outside = [(tag, address) for tag, address in found.addresses if not address.startswith("#")]
    assert len(outside) == len(table_runs)
    assert all(tag == "a" for tag, _ in outside)
    for run_id in table_runs.values():
        assert any(
            address.startswith("http://127.0.0.1:5000/#/experiments/") and run_id in address
            for _, address in outside
        )
    assert text.count("http") == len(outside) + len(re.findall("http-equiv", text))
    assert "default-src 'none'" in text


def test_the_csv_has_every_figure_in_full(client, table_runs, page):
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
