"""Labels as people write them, from the command line to MLflow."""

import unicodedata

import pandas as pd
import pytest

from outliers_bench.data.synthetic import Synthetic
from tests.command_line import bench
from tests.recorded_runs import recorded_run
from tests.toys import write_images

RUN = (
    "data=manifest",
    "data.path=animals.csv",
    "data.protocol=leave_one_out",
    "model=pixels",
    "k=[1]",
)


@pytest.mark.slow
def test_a_table_with_two_spellings_and_missing_labels(tmp_path):
    images = write_images(
        Synthetic(classes=3, individuals=1, images=7, size=16, noise=0), tmp_path / "photos"
    )
    nfd = unicodedata.normalize("NFD", "Löwe")
    labels = (
        ["Löwe", f"{nfd} "] * 3 + ["NA"] + ["tiger", "Tiger"] * 3 + ["unknown"] + ["owl"] * 6 + [""]
    )
    rows = {"path": [str(file.relative_to(tmp_path)) for file in images], "label": labels}
    pd.DataFrame(rows).to_csv(tmp_path / "animals.csv", index=False)
    env = {"OUTLIERS_BENCH_CACHE": str(tmp_path / "cache")}

    refused = bench(*RUN, cwd=tmp_path, **env)
    assert refused.code == 2
    assert refused.err.startswith(
        "error: animals: 3 of 21 images have no label: 1 'NA', 1 'unknown', "
    )
    assert refused.err.count("\n") == 1
    assert not (tmp_path / "mlflow.db").exists()

    done = bench(*RUN, "data.missing_labels=exclude", cwd=tmp_path, **env)
    assert done.code == 0, done.err
    spelling = "'Tiger' and 'tiger' are different classes; rename them if they are one"
    assert done.out.startswith(f"animals: {spelling}\n"), "before the work"
    text = " ".join(done.out.split())  # lines are wrapped
    assert " classes 4, of 3 images (Tiger) to 6 (Löwe), median 4.5 excluded 3 without a " in text
    assert f" spelling {spelling} " in text
    run = recorded_run(tmp_path, done)
    expected = {
        "images_unlabeled": 3,
        "classes": 4,
        "images_per_class_max": 6,
    }
    assert expected.items() <= run.data.metrics.items()
    assert "'Tiger' and 'tiger'" in run.data.tags["mlflow.note.content"]
