"""Conversion of a run's recorded config back to the typed config."""

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
from outliers_bench.runtime.text_values import escape

_IGNORED = ("resolved",)  # configs of an ensemble's members: composed again from conf/


def restore_config(values: Mapping[str, Any]) -> Config:
    """Return the typed config that `to_mapping` converted to these nested plain values.

    Raises
    ------
    BenchError
        If an option is unknown in this version, or a check fails.
    """
    if {"members", "backbone"} & set(values["model"]):
        register()  # needed to compose the configs they name; skipped otherwise, since it is slow
    try:
        config = OmegaConf.structured(Config)
        _fill(config, update_options(values))
    except (OmegaConfBaseException, TypeError, AttributeError) as error:
        raise BenchError(
            "the run was recorded by another version with options that are unknown in this one "
            f"({str(error).splitlines()[0]}); run it again"
        ) from error
    return to_config(config)


def infer_schema(group: str, values: Mapping[str, Any]) -> type:
    """Infer the choice of a config group from its options, since its name is not recorded."""

    def mismatch(item: tuple[str, type]) -> tuple[int, int, bool]:
        name, schema = item
        known, recorded = {entry.name for entry in fields(schema)}, set(values) - set(_IGNORED)
        # An unknown option is worse than a missing one, which may be newer than the run. The
        # names distinguish kd_tree and ball_tree, which have the same options.
        has_name = {values.get("name"), values.get("keras")} & {name, schema.__name__}
        return len(recorded - known), len(known - recorded), not has_name

    return min(SCHEMAS[group].items(), key=mismatch)[1]


def _fill(node: DictConfig, values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if key in _IGNORED:
            continue
        if isinstance(value, Mapping):
            if key in SCHEMAS:
                node[key] = OmegaConf.structured(infer_schema(key, value))
            _fill(node[key], value)
        else:
            node[key] = _escape(value)


def _escape(value: object) -> object:
    if isinstance(value, list):
        return [_escape(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _escape(item) for key, item in value.items()}
    return escape(value) if isinstance(value, str) else value
