"""User errors: one clear line and exit code 2, before anything is decoded or recorded."""

import errno
import re
from unittest.mock import Mock

import cv2
import numpy as np
import pytest
from hydra._internal.hydra import Hydra

from outliers_bench.data import decode as decoding
from outliers_bench.tracking import senders
from outliers_bench.tracking.outbox import Box
from tests.command_line import in_process

pytestmark = pytest.mark.extra("demo")  # most cases change one option of the default run


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Folder of three classes with six photos each, next to several invalid ones."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OUTLIERS_BENCH_CACHE", str(tmp_path / "cache"))
    # Hydra composes everything once more for the value of hydra.mode, which is null in all cases.
    monkeypatch.setattr(Hydra, "get_mode", lambda *_, **__: None)
    # A sender, which would import MLflow, is started before the photos are read.
    monkeypatch.setattr(senders, "announce", lambda *_: None)
    rng = np.random.default_rng(0)

    def write(*names: str) -> None:
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), rng.integers(0, 256, (16, 16, 3), dtype=np.uint8))

    write(*(f"photos/{animal}/{i}.png" for animal in ("ant", "bee", "cat") for i in range(6)))
    write(*(f"one/ant/{i}.png" for i in range(6)))
    write("noquery/gallery/ant/0.png", "noquery/gallery/bee/0.png")
    write("strangers/query/ant/0.png", "strangers/gallery/bee/0.png", "strangers/gallery/cat/0.png")
    (tmp_path / "noquery" / "query").mkdir()
    (tmp_path / "empty").mkdir()
    (tmp_path / "nolabel.csv").write_text("path,kind\na.png,ant\n")
    (tmp_path / "broken.json").write_text('{"images": [\n  {"id": 1,,\n]}')
    (tmp_path / "other.json").write_text('{"photos": []}')
    (tmp_path / "weights.txt").write_text("")
    (tmp_path / "notes.db").write_text("not a database, only text in its place" * 50)
    return tmp_path


FOLDER = ("data=folder", "data.root=photos", "model=pixels", "k=[1]")
ENSEMBLE = ["model=ensemble", "model.members=[pixels,sift_vlad]"]
CASES = {
    "unknown model": (["model=efficientnetb9"], r"model=efficientnetb9.*efficientnetb7.*vgg19"),
    "unknown group": (["modle=vgg16"], r"modle: no such option; did you mean model\?.*pca"),
    "unknown option": (["model.poling=max"], r"model\.poling.*did you mean pooling\?"),
    "unknown option of a group": (["index.leaf_size=3"], r"index\.leaf_size.*name, metric"),
    "added option": (["+model.x=1"], r"model\.x is not an option"),
    "wrong type": (["pca.n=many"], r"pca\.n=many.*Integer"),
    "wrong choice": (["model.pooling=min"], r"model\.pooling=min.*avg, max, gem"),
    "no date": (
        [*FOLDER, "data.split_by=time", "data.train_until=June"],
        r"data\.train_until=June: give a date as in 2023-06-01",
    ),
    "no times": ([*FOLDER, "data.split_by=time"], r"photos: data\.split_by=time needs times"),
    "no cameras": (
        [*FOLDER, "data.split_by=camera"],
        r"split_by=camera: there are no columns",
    ),
    "no open set": ([*FOLDER, "data.unknown=0.3"], r"it needs data\.setting=open_set"),
    "no list": (["k=3"], r"k=3.*list.*k=\[1,5\]"),
    "empty list": (["k=[]"], r"k=\[\]"),
    "several values": (["k=1,5"], r"k=1,5: several values; add -m .*k=\[1,5\]"),
    "several rows": (
        ["+experiments/models_we_built=glob(*)"],
        r"models_we_built=glob\(\*\): several values; add -m to run every one of them$",
    ),
    "row without plus": (
        ["experiments/models_we_built=sift"],
        r"write it as \+experiments/models_we_built=sift$",
    ),
    "misspelled objective": (["objective=hit_at_l"], r"objective=hit_at_l: .*did you mean hit_at_"),
    "unknown clusters": (
        ["statistics.cluster=animal", *FOLDER],
        r"statistics\.cluster=animal: .*no such column; give auto, query, label$",
    ),
    "no clusters": (["statistics.cluster="], r"statistics\.cluster= is empty"),
    "zero cutoff": (["k=[0,1]"], r"k=\[0, 1\].*at least 1"),
    "negative seed": (["seed=-1"], r"seed=-1"),
    "huge seed": (["seed=99999999999999999999"], r"seed=9999"),
    "negative random seed": (["model.random_seed=-1"], r"model\.random_seed=-1"),
    "too many pictures": (["contact_sheets.depth=5000"], r"contact_sheets\.depth=5000.*200"),
    "no cache": (["cache.dir="], r"cache\.dir= is empty"),
    "no experiment": (["tracking.experiment="], r"tracking\.experiment= is empty"),
    "negative pictures": (["contact_sheets.depth=-1"], r"contact_sheets\.depth=-1"),
    "unreadable share": (["data.max_unreadable=2"], r"data\.max_unreadable=2"),
    "batch size": (["engine.batch_size=lots"], r"engine\.batch_size=lots.*auto"),
    "huge batch": (["engine.batch_size=99999999"], r"engine\.batch_size=99999999: .*1 to 4096"),
    "no folder": (["data=folder", "data.root="], r"data\.root= is empty; give a path"),
    "null folder": (["data=folder", "data.root=null"], r"data\.root=null: null is no value here"),
    "option without a value": (["data.root"], r"data\.root: not of the form key=value"),
    "misspelled option of text": (
        ["data=folder", "data.rot=Löwen (1)"],
        r"data\.rot: .*did you mean root\?",
    ),
    "no number": (["seed=Löwe"], r"seed=Löwe: neither a number, nor a word, nor a list"),
    "broken override": (["a b="], r"a b=: not of the form key=value"),
    "missing option": (["data=folder"], r"data\.root is missing.*data\.root=<value>"),
    "missing folder": (["data=folder", "data.root=nope"], r"data\.root=nope.*no such folder"),
    "empty folder": (["data=folder", "data.root=empty"], r"data\.root=empty.*no images"),
    "one class only": (["data=folder", "data.root=one"], r"data\.root=one.*one class"),
    "no images in query": (["data=prepared", "data.root=noquery"], r"noquery.*query"),
    "nothing in common": (
        ["data=prepared", "data.root=strangers", "model=pixels", "k=[1]"],
        r"strangers.*share class names",
    ),
    "manifest without columns": (
        ["data=manifest", "data.path=nolabel.csv"],
        r"nolabel\.csv.*label.*path, kind",
    ),
    "damaged annotations": (
        ["data=manifest", "data.path=broken.json"],
        r"broken\.json: line 2, column 12 is not valid JSON",
    ),
    "unknown annotations": (["data=manifest", "data.path=other.json"], r"COCO.*Label Studio"),
    "missing manifest": (["data=manifest", "data.path=nope.csv"], r"nope\.csv"),
    "pca too large": ([*FOLDER, "pca.n=500"], r"pca\.n=500.* 12 train .* 3072 dimensions"),
    "pca of nothing": ([*FOLDER, "pca.n=0"], r"pca\.n=0"),
    "whitening without pca": ([*FOLDER, "pca.whiten=true"], r"pca\.n"),
    "k larger than the gallery": ([*FOLDER, "k=[1,99]"], r"k=99.*gallery.*3 to find"),
    "image too small": (["model=xception", "model.image_size=64"], r"image_size=64.*xception.*71"),
    "image too large": (["model.image_size=1000000"], r"image_size=1000000.*at most"),
    "thumbnail of nothing": (["model=pixels", "model.image_size=0"], r"image_size=0"),
    "missing weights": (["model.weights=nope.h5"], r"nope\.h5.*no such file"),
    "typo in weights": (["model.weights=imagnet"], r"did you mean imagenet\?"),
    "weights of no known kind": (["model.weights=weights.txt"], r"weights\.txt.*\.keras"),
    "tree with inner product": (
        ["index=kd_tree", "index.metric=inner_product"],
        r"inner_product.*index=exact",
    ),
    "database in no folder": (
        [*FOLDER, "tracking.uri=sqlite:///nope/runs.db"],
        r"tracking\.uri=.*nope.*does not exist",
    ),
    "database that is none": ([*FOLDER, "tracking.uri=sqlite:///notes.db"], r"notes\.db"),
    "file store": (["tracking.uri=./mlruns"], r"tracking\.uri=\./mlruns.*sqlite"),
    "no keypoints": (["model=sift", "model.max_keypoints=0"], r"model\.max_keypoints=0: from 1"),
    "huge side": (["model=sift", "model.longest_side=99999"], r"model\.longest_side=99999.*2,048"),
    "ratio above one": (["model=sift", "model.ratio=1.5"], r"model\.ratio=1\.5.*at most 1"),
    "ratio that is none": (["model=sift", "model.ratio=nan"], r"model\.ratio=nan"),
    "no room to agree in": (
        ["model=sift", "model.reproj_threshold=0"],
        r"model\.reproj_threshold=0",
    ),
    "negative inliers": (["model=sift", "model.min_inliers=-1"], r"model\.min_inliers=-1"),
    "empty shortlist": (["model=sift", "model.shortlist=0"], r"model\.shortlist=0.*null for all"),
    "unknown geometry": (["model=sift", "model.verify=circle"], r"verify=circle.*homography"),
    "unknown detector": (["model=sift", "model.detector=surf"], r"detector=surf.*sift, orb"),
    "no words": (["model=sift_vlad", "model.words=0"], r"model\.words=0"),
    "pca of a vlad": ([*FOLDER, "model=sift_vlad", "pca.n=500"], r"pca\.n=500.* 12 train"),
    "reranking by nothing": (["rerank=spatial", "rerank.verify=none"], r"rerank\.verify=none"),
    "reranking in disguise": (["rerank=spatial", "rerank.ratio=0"], r"rerank\.ratio=0"),
    "reranked keypoints": ([*FOLDER, "model=sift", "rerank=spatial"], r"rerank=spatial.*verify"),
    "weights by another metric": (
        [*FOLDER, "rerank=alpha_qe", "index.metric=euclidean"],
        r"rerank=alpha_qe.*index\.metric=euclidean.*cosine",
    ),
    "augmented and missed": (
        [*FOLDER, "rerank=dba", "index=faiss_hnsw", "data.protocol=leave_one_out", "k=[1]"],
        r"would hide the errors of index=faiss_hnsw",
    ),
    "endless candidates": (["index=faiss_hnsw", "index.ef_search=99999999999"], r"ef_search=9+: "),
    "two reductions": (
        [*FOLDER, "pca.n=3", "reduce=random_projection", "reduce.n=3"],
        r"pca\.n=3 and reduce=random_projection both",
    ),
    "reduction of nothing": ([*FOLDER, "reduce.n=3"], r"reduce\.n=3 has no effect"),
    "whitening without train": (
        [*FOLDER, "reduce=learned_whitening", "data.protocol=leave_one_out"],
        r"learned_whitening learns from the labels of a train part",
    ),
    "ensemble of one": ([*ENSEMBLE, "model.members=[pixels]"], r"at least two members"),
    "misspelled member": (
        [*ENSEMBLE, "model.members=[pixels,sfit]"],
        r"'sfit'.*did you mean sift\?",
    ),
    "member's weights": (
        [*ENSEMBLE, "model.members=[pixels,'vgg16 weights=nowhere.h5']"],
        r"'vgg16 weights=nowhere\.h5': model\.weights=nowhere\.h5: there is no such file",
    ),
    "members without brackets": ([*ENSEMBLE, "model.members=pixels"], r"at least two members"),
    "members without a value": ([*ENSEMBLE, "model.members="], r"give a list"),
    "keypoints side by side": ([*ENSEMBLE, "model.members=[pixels,sift]"], r"fusion=rrf"),
    "ensemble of ensembles": ([*ENSEMBLE, "model.members=[pixels,ensemble]"], r"another"),
    "unknown fusion": ([*ENSEMBLE, "model.fusion=sum"], r"sum.*zscore"),
    "unknown weighting": ([*ENSEMBLE, "model.member_weights=best"], r"best: equal, tuned"),
    "too few weights": ([*ENSEMBLE, "model.member_weights=[1]"], r"list of 2 numbers"),
    "no weight at all": ([*ENSEMBLE, "model.member_weights=[0,0]"], r"above 0"),
    "nothing to tune on": (
        [*FOLDER, *ENSEMBLE, "model.member_weights=tuned", "data.protocol=leave_one_out"],
        r"member_weights=tuned learns from the labels of a train part",
    ),
    "pca of a member": (
        [*FOLDER, *ENSEMBLE, "model.members=[pixels,sift]", "model.fusion=rrf", "pca.n=500"],
        r"model\.members, pixels: pca\.n=500",
    ),
    "unreachable cache": (
        [*FOLDER, "cache.dir=notes.db"],
        r"cache\.dir=notes\.db cannot be created",
    ),
}


# Composing each member takes seconds.
HEAVY = ("unknown weighting", "too few weights", "no weight at all", "keypoints side by side")
_SLOW = (pytest.mark.slow,)


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=_SLOW if case in HEAVY else ()) for case in CASES]
)
def test_error_is_one_clear_line(case, photos, monkeypatch, capsys):
    arguments, expected = CASES[case]
    monkeypatch.setattr(decoding, "decode", lambda *_, **__: pytest.fail("an image was decoded"))
    done = in_process(monkeypatch, capsys, *arguments)
    lines = [line for line in done.err.splitlines() if line.strip()]
    assert done.code == 2, done.err
    assert len(lines) == 1, done.err
    assert lines[0].startswith("error: ")
    assert re.search(expected, lines[0]), lines[0]
    assert done.out == ""
    assert not (photos / "mlflow.db").exists(), "no run was started"
    assert not (photos / "outputs").exists()


@pytest.mark.parametrize("sweep", [(), ("-m", "seed=1,2")])
def test_a_full_disk_is_reported_on_one_line(photos, monkeypatch, capsys, sweep):
    full = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(Box, "create", Mock(side_effect=full))
    done = in_process(monkeypatch, capsys, *sweep, *FOLDER)
    assert done.code == 2
    assert done.err.endswith(
        "error: [Errno 28] No space left on device; free some space, and start again\n"
    )
    assert "Traceback" not in done.err
