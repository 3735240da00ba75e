"""Commands in README and docs/ that need no network, run as they are written, on a few photos."""

import csv
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_docs import PAGES, commands_of, name_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
CLASSES, IMAGES = 18, 30  # a command in training.md needs 16 logits
FIRST = "python -m outliers_bench data=folder data.root=photos"
# Models with weights on this machine, or without.
LOCAL = ("pixels", "mobilenet", "mobilenetv2", "sift", "sift_vlad", "cnn_scratch", "ensemble")
LOCAL += ("transfer_mobilenet", "efficientnet_lite0")
# Make targets have tests of their own; a server runs until it is stopped.
NEEDS_NETWORK = (
    *("url=https:", "urls=", "page=https:", "data=caltech101", "datasets oxford_pets"),
    *("weights_dir=weights", "all_backbones", "models_we_built=glob", "efficientnetb7"),
    *("model.backbone=", "outliers_bench.competition"),
)
# Of tables, folders below the classes, and times in the photos, which are not those of `caltech`.
OTHER_PHOTOS = (
    *("MacaqueFaces", "HumpbackWhaleID", "StripeSpotter", "animals.csv", "data.path=bursts.csv"),
    *("coco.json", "megadetector.json", "label_studio.json"),
    *("data.label_depth=3", "data.query_folder=test", "data.group=2", "data.group=visit"),
    *("data.encounter_gap=",),
)


def is_local(command: str) -> bool:
    """Check whether a command needs neither network nor weights that are not here."""
    models = re.findall(r"\bmodel=([\w,]+)", command)
    members = re.findall(r"model\.members=\[([^\]]*)\]", command)
    named = [name for each in models for name in each.split(",")]
    named += [name.strip("'\" ").split(" ")[0] for each in members for name in each.split(",")]
    return (
        re.match(r"python -m outliers_bench( |$|\.\w+ )", command) is not None  # or only a name
        and not any(word in command for word in (*NEEDS_NETWORK, *OTHER_PHOTOS))
        and all(name in LOCAL for name in named)
    )


@pytest.fixture(scope="module")
def caltech(shared, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    classes = sorted((shared / "data" / "caltech101_animals").iterdir())
    for place in [path for path in classes if path.is_dir()][:CLASSES]:
        (folder / place.name).mkdir()
        for photo in sorted(place.iterdir())[:IMAGES]:
            shutil.copy(photo, folder / place.name)
    return folder


def lay_out(folder: Path, caltech: Path, *, prepared: bool) -> None:
    """Put the photos where the commands of a page expect them."""
    shutil.rmtree(folder / "photos", ignore_errors=True)
    if not prepared:
        shutil.copytree(caltech, folder / "photos")
        write_table(folder)
        return
    for part, rows in (("query", slice(6)), ("gallery", slice(6, 20)), ("train", slice(20, 30))):
        for place in caltech.iterdir():
            (folder / "photos" / part / place.name).mkdir(parents=True)
            for photo in sorted(place.iterdir())[rows]:
                shutil.copy(photo, folder / "photos" / part / place.name)


def write_table(folder: Path) -> None:
    """Write photos.csv, with a row for each photo, three to an encounter."""
    with (folder / "photos.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "species", "Bild", "Tier", "encounter", "camera", "time"])
        for place in sorted((folder / "photos").iterdir()):
            for number, photo in enumerate(sorted(place.iterdir())):
                path, visit = photo.relative_to(folder), number // 3
                time = f"{2021 + visit // 3}-{1 + visit % 3 * 4:02d}-01T10:0{number % 3}:00"
                names = [path, place.name, place.name, path, place.name]
                rows.writerow([*names, f"{place.name} {visit}", f"camera {visit % 2}", time])


@pytest.mark.extra("sweep")
@pytest.mark.extra("demo")
@pytest.mark.extra("int8")
@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_local_command_of_a_page_runs(page, caltech, shared, tmp_path):
    commands = [command for command in commands_of(page) if is_local(command)]
    (tmp_path / "caltech101_animals").symlink_to(shared / "data" / "caltech101_animals")
    photo = next(path for path in sorted(caltech.rglob("*")) if path.is_file())
    (tmp_path / "holiday").mkdir()
    for copy in (tmp_path / "bird.jpg", tmp_path / "holiday" / "one.jpg"):
        shutil.copy(photo, copy)
    env = {
        **os.environ,
        "OUTLIERS_BENCH_CACHE": str(tmp_path / "cache"),
        "OUTLIERS_BENCH_WEIGHTS": str(shared / "weights"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    if not commands:
        pytest.skip("every command of this page needs the network")

    def run(command: str) -> str:
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        # Of a folder of photos, `clean` reports what it has found as exit code 1.
        allowed = (0, 1) if ".clean" in command else (0,)
        assert done.returncode in allowed, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    lay_out(tmp_path, caltech, prepared=False)
    run(f"{FIRST} model=pixels")
    trained = ""
    for line in commands:
        command = re.sub(r"\brun=(RUN|5336e778)\b", "run=last", line)
        lay_out(tmp_path, caltech, prepared="data=prepared" in command)
        if "RUN_ID" in command and not trained:
            out = run(f"{FIRST} model=transfer_mobilenet model.epochs=1")
            trained = re.search(r"MLflow run +(\w+)", out)[1]
        if "table=" in command:
            run(f"{FIRST} +experiments/models_we_built=sift")
        run(command.replace("RUN_ID", trained))


def test_most_commands_run():
    every = [command for page in PAGES for command in commands_of(page)]
    assert sum(map(is_local, every)) > 40
