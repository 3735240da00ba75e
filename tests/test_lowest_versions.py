"""Lowest versions of the packages that pyproject.toml allows."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.conftest import has

REPOSITORY = Path(__file__).parent.parent
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
USER_EXTRAS = [name for name in EXTRAS if name not in ("dev", "test")]


def lowest_versions() -> list[str]:
    """List all requirements, pinned to their lowest version."""
    extras = [requirement for name in USER_EXTRAS for requirement in EXTRAS[name]]
    requirements = PROJECT["dependencies"] + extras
    return [re.sub(r"(>=|==)([\w.]+).*", r"==\2", requirement) for requirement in requirements]


def test_every_requirement_has_a_lowest_version():
    assert all(re.fullmatch(r"[\w-]+==[\d.]+", pinned) for pinned in lowest_versions())


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_default_run_with_the_lowest_versions(tmp_path):
    (tmp_path / "constraints.txt").write_text("\n".join(lowest_versions()))
    extras = ",".join(name for name in USER_EXTRAS if name != "annoy" or has("annoy"))
    with TemporaryDirectory() as folder:  # 3.5 GB, which pytest would not remove
        python = f"{folder}/bin/python"
        for command in (
            [sys.executable, "-m", "venv", folder],
            [python, "-m", "pip", "install", "--quiet", "--upgrade", "pip"],
            [
                *(python, "-m", "pip", "install", "--quiet", "--editable"),
                *(f"{REPOSITORY}[{extras}]", "--constraint", str(tmp_path / "constraints.txt")),
            ],
            [python, "-m", "pip", "check"],
        ):
            subprocess.run(command, check=True)
        run = [python, "-m", "outliers_bench", f"cache.dir={tmp_path / 'cache'}"]
        done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # The hit rates of the newest versions, as shown in the README.
    assert re.search(r"^hit +0\.944 +0\.981 +0\.986 +0\.992$", done.stdout, re.MULTILINE)
    assert "Traceback" not in done.stderr
