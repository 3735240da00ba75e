"""Options under the names of earlier versions: refused in one line with today's name."""

import pytest

from outliers_bench.config.renamed import update_options
from tests.cli import in_process


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["model.views.flip=true"], "model.views was renamed to model.tta"),
        (["+pictures.depth=3"], "pictures was renamed to contact_sheets"),
        (["-m", "l2.before=true,false"], "l2.before was renamed to l2.before_reduction"),
        (["index=faiss_ivfpq", "index.lists=3"], "index.lists was renamed to index.nlist"),
        (
            ["model=ensemble", "model.members=[pixels,'pixels views.flip=true']"],
            "model.members, 'pixels views.flip=true': model.views was renamed to model.tta",
        ),
    ],
    ids=["nested", "added", "swept", "of a choice", "of a member"],
)
def test_an_old_name_is_refused_with_the_new_one(given, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    done = in_process(monkeypatch, capsys, *given)
    assert done.code == 2
    assert done.err == f"error: {message}\n"


def test_the_config_of_an_older_run_is_read_under_todays_names():
    old = {
        "model": {"members": ["pixels views.flip=true", "sift root=false verify=none"], "pool": 9},
        "l2": {"before": True, "after": False},
        "rerank": {"threshold": 4.0},
        "seed": 1,
    }
    assert update_options(old) == {
        "model": {
            "members": ["pixels tta.flip=true", "sift rootsift=false verify=none"],
            "fusion_depth": 9,
        },
        "l2": {"before_reduction": True, "after_reduction": False},
        "rerank": {"reproj_threshold": 4.0},
        "seed": 1,
    }
