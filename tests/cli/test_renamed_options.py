"""Options under the names of earlier versions: refused in one line with today's name."""

import pytest

from outliers_bench.config.renamed import original_names, update_options, update_overrides
from tests.command_line import in_process


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["model.views.flip=true"], "model.views.flip was renamed; use model.tta.flip"),
        (["~pictures"], "pictures was renamed; use contact_sheets"),
        (["+pictures.depth=3"], "pictures was renamed; use contact_sheets"),
        (
            ["-m", "data=synthetic", "model=pixels", "l2.before=true,false"],
            "l2.before was renamed; use l2.before_reduction",
        ),
        (["index=faiss_ivfpq", "index.lists=3"], "index.lists was renamed; use index.nlist"),
        (
            ["model=ensemble", "model.members=[pixels,'pixels views.flip=true']"],
            "model.members, 'pixels views.flip=true': views.flip was renamed; use tta.flip",
        ),
    ],
    ids=["nested", "deleted", "added", "swept", "of a choice", "of a member"],
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


def test_an_old_name_of_another_model_gets_the_usual_message(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    done = in_process(monkeypatch, capsys, "model=mobilenet", "model.pool=avg")
    assert done.code == 2
    assert "did you mean pooling?" in done.err


def test_identities_are_digests_of_the_original_names():
    """So that `skip_finished` recognizes the runs of earlier versions."""
    today = {
        "model": {"members": [{"tta": {"flip": True}}, {"rootsift": False}], "fusion_depth": 9},
        "l2": {"before_reduction": True, "after_reduction": False},
        "index": {"nlist": 4, "metric": "cosine"},
        "rerank": {"reproj_threshold": 4.0},
    }
    assert original_names(today) == {
        "model": {"members": [{"views": {"flip": True}}, {"root": False}], "pool": 9},
        "l2": {"before": True, "after": False},
        "index": {"lists": 4, "metric": "cosine"},
        "rerank": {"threshold": 4.0},
    }


def test_a_truncated_command_line_is_left_as_it_is():
    assert update_overrides("model=pixels 'k=[1, 5") == "model=pixels 'k=[1, 5"
