"""A run's config, from the plain values that were recorded, to the one that does its work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from outliers_bench.config.choices import SCHEMAS
from outliers_bench.config.renamed import update_options
from outliers_bench.config.schema import Config, register, to_config
from outliers_bench.errors import BenchError

_TOLD_BESIDE = ("resolved",)  # what an ensemble's members stand for: read again from conf/


def config_of(values: Mapping[str, Any]) -> Config:
    """The typed config that `as_mapping` has made these values of.

    Parameters
    ----------
    values : mapping of str to object
        Nested plain values, as they stand in a run's `config.yaml`.

    Raises
    ------
    BenchError
        If this version of the program does not know an option, or a check refuses it.
    """
    if {"members", "backbone"} & set(values["model"]):
        register()  # what they name is composed by Hydra, which takes a while
    try:
        config = OmegaConf.structured(Config)
        _fill(config, update_options(values))
    except (OmegaConfBaseException, TypeError, AttributeError) as error:
        raise BenchError(
            "the run was recorded by another version, whose options this one does not know "
            f"({str(error).splitlines()[0]}); run it again"
        ) from error
    return to_config(config)


def schema_of(group: str, values: Mapping[str, Any]) -> type:
    """Which choice of a config group has these options; a config does not say it by name.

    Parameters
    ----------
    group : str
        Such as `model`.
    values : mapping of str to object
        Its options.
    """

    def unlike(item: tuple[str, type]) -> tuple[int, int, bool]:
        name, schema = item
        known, given = {entry.name for entry in fields(schema)}, set(values) - set(_TOLD_BESIDE)
        # An option that is unknown is worse than one that was not there yet; kd_tree and
        # ball_tree have the same ones.
        named = {values.get("name"), values.get("keras")} & {name, schema.__name__}
        return len(given - known), len(known - given), not named

    return min(SCHEMAS[group].items(), key=unlike)[1]


def _fill(node: DictConfig, values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if key in _TOLD_BESIDE:
            continue
        if isinstance(value, Mapping):
            if key in SCHEMAS:
                node[key] = OmegaConf.structured(schema_of(key, value))
            _fill(node[key], value)
        else:
            node[key] = value
