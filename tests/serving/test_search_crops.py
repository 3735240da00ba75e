"""A search of a run on crops: the crops are read back from their photos."""

import json
import re

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import outliers_bench as ob
from outliers_bench.apps.search.contact_sheet import write_sheet
from outliers_bench.apps.search.output import to_table
from outliers_bench.serving.engine import Engine
from outliers_bench.serving.queries import open_queries
from outliers_bench.serving.saved_run import SavedRun, find_saved_run
from tests.command_line import bench

HERE = "sqlite:////somewhere/mlflow.db"
RUN_ID = "c0ffee" + "0" * 26


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Save a run on two crops of each of six photos, left and right."""
    rows = []
    for number in range(6):
        pixels = np.random.default_rng(number).integers(0, 256, (40, 80, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        rows += [
            (f"{number}.png", label, x, 0, 40, 40) for label, x in (("left", 0), ("right", 40))
        ]
    table = pd.DataFrame(rows, columns=["path", "label", "x", "y", "w", "h"])
    table["split"] = ["query", "gallery", "gallery", "gallery"] * 3
    table.to_csv(tmp_path / "table.csv", index=False)
    monkeypatch.setenv("OUTLIERS_BENCH_CACHE", str(tmp_path / "cache"))
    exact = {"options": {"data.box_margin": 0}}
    result = ob.run(tmp_path / "table.csv", model="pixels", image_size=8, k=[1], **exact)
    saved = SavedRun.create(result.config, result.split, run_id=RUN_ID, name="crops", uri=HERE)
    saved.save(tmp_path / "cache")
    return find_saved_run(tmp_path / "cache", RUN_ID, uri=HERE)


def test_a_search_finds_crops_and_shows_them(run, tmp_path):
    file = tmp_path / "query.png"
    Image.open(tmp_path / "2.png").crop((40, 0, 80, 40)).save(file)
    assert run.contains(tmp_path / "2.png")
    assert not run.contains(file)
    queries = open_queries([file], cache=tmp_path / "cache")
    engine = Engine(run, tmp_path / "cache")
    result = engine.query(queries, 3)
    hit = result.hits[file][0]
    assert hit.name == "2.png#40,0,40,40"
    assert hit.path == tmp_path / "2.png"
    assert hit.score == pytest.approx(1, abs=1e-6)
    assert f"{hit.path}#40,0,40,40" in to_table(result)
    images = {"queries": queries.images(), "gallery": result.images}
    write_sheet(result.hits, tmp_path / "sheet.png", heading="", **images)
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    # The query and its best hit have the same pixels: both are on the sheet, once each.
    tile = cv2.resize(cv2.imread(str(file)), (140, 140), interpolation=cv2.INTER_NEAREST)
    agreement = cv2.matchTemplate(sheet, tile, cv2.TM_CCOEFF_NORMED)
    assert (agreement > 0.99).sum() == 2


def test_a_photo_that_changed_takes_its_crops_with_it(run, tmp_path):
    Image.open(tmp_path / "3.png").rotate(180).save(tmp_path / "3.png")
    (tmp_path / "4.png").unlink()
    queries = open_queries([tmp_path / "2.png"], cache=tmp_path / "cache")
    unavailable = Engine(run, tmp_path / "cache").query(queries, 3).unavailable
    assert unavailable == {
        "3.png#0,0,40,40": "changed since the run",
        "3.png#40,0,40,40": "changed since the run",
        "4.png#40,0,40,40": "no such file or directory",
    }


def test_the_command_line_runs_on_boxes(tmp_path):
    for number in range(8):
        pixels = np.random.default_rng(number % 2).integers(0, 256, (40, 80, 3), dtype=np.uint8)
        pixels[:, 60:] = number  # each photo has contents of its own, outside of the boxes
        folder = tmp_path / "photos" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    images = [
        {
            "file": f"{'ab'[number % 2]}/{number}.png",
            "detections": [{"category": "1", "conf": 0.9, "bbox": [0, 0, 0.5 + number / 100, 1]}],
        }
        for number in range(8)
    ]
    (tmp_path / "detections.json").write_text(json.dumps({"images": images}))
    options = ("data.root=photos", "data.protocol=leave_one_out", "model=pixels", "k=[1]")
    done = bench(
        *("data=manifest", "data.path=detections.json", *options),
        cwd=tmp_path,
        OUTLIERS_BENCH_CACHE=str(tmp_path / "cache"),
    )
    assert done.code == 0, done.err
    assert (
        "8 images from 8 photos, one for each box in the MegaDetector JSON" in done.err + done.out
    )
    assert re.search(r"^hit +1\.000", done.out, re.MULTILINE)
