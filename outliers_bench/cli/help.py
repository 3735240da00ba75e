"""Text of `python -m outliers_bench --help`, with all choices from the config files."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from pathlib import Path

from omegaconf import OmegaConf, open_dict

from outliers_bench.cli.commands import COMMANDS
from outliers_bench.config.paths import config_groups

USAGE = """\
Which method finds the same animal, and what does it cost?

  python -m outliers_bench                                            the offline default
  python -m outliers_bench model=vgg16 pca.n=500 data=folder data.root=photos
  python -m outliers_bench -m model=vgg16,resnet50 pca.n=100,500      a sweep: every combination
  python -m outliers_bench -m '+experiments/models_we_built=glob(*)'  a published table: every row

== Commands: python -m outliers_bench COMMAND [option=value ...], each with --help =="""

CHOICES = "== Choices: group=option =="

OPTIONS = "== Options and their values: a.b=value, null for none =="

FLAGS = """\
== Sweeps: with -m; optuna and joblib are the extra `sweep` ==
hydra/sweeper=  basic, optuna   every combination, or a search for the best `objective`
hydra/launcher= basic, joblib   one job after the other, or hydra.launcher.n_jobs=2 at once

== Flags ==
--multirun, -m          run every combination of comma-separated values
--cfg job, -c job       print the config instead of running it
--config-dir, -cd DIR   look for options in another folder as well, with the layout of conf/
--info, -i              how the config was composed
--hydra-help            all other options of Hydra
Tab completion, in an activated environment: eval "$(outliers-bench -sc install=bash)", then type
outliers-bench and Tab.

Runs are recorded in MLflow: python -m mlflow ui --backend-store-uri sqlite:///mlflow.db"""


def is_requested(arguments: Sequence[str]) -> bool:
    """Check whether the command line asks for help."""
    return any(argument in ("--help", "-h") for argument in arguments)


def page(conf: Path, experiments: Path, overrides: Sequence[str]) -> str:
    """Return the help page, with the options of the choices in the overrides.

    Hydra's own page takes seconds to list the groups and includes those of the schema. `conf` and
    `experiments` are the folders of the config.
    """
    from hydra import compose, initialize_config_dir

    groups = [
        *config_groups(conf),
        *((f"+{group}", files) for group, files in config_groups(experiments, "experiments")),
    ]
    listing = [_listed(f"{group}=", [file.stem for file in files]) for group, files in groups]
    with initialize_config_dir(str(conf), version_base="1.3"):
        config = compose(
            "config", [word for word in overrides if re.match(r"[+~]*\w[^=]*=|~", word)]
        )
    if config.published.table is None:  # never chosen by itself
        with open_dict(config):
            del config.published
    options = OmegaConf.to_yaml(config).replace("'n':", "n:")
    commands = [f"{name:<11} {purpose}" for name, purpose in COMMANDS.items()]
    return "\n".join(
        [USAGE, *commands, "", CHOICES, *listing, "", OPTIONS, options, FLAGS],
    )


def _listed(head: str, names: list[str]) -> str:
    return textwrap.fill(
        ", ".join(names),
        width=100,
        initial_indent=f"{head:<10} ",
        subsequent_indent=" " * 11,
        break_on_hyphens=False,
    )
