"""YAML files with options: those of the project, and those of its users."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, cast

import yaml
from hydra._internal.core_plugins import file_config_source
from hydra.plugins.config_source import ConfigLoadError, ConfigResult
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from outliers_bench.config.text_options import text_options
from outliers_bench.errors import BenchError

_TEXT = yaml.resolver.BaseResolver.DEFAULT_SCALAR_TAG
_NULL = "tag:yaml.org,2002:null"
_SWEPT = "hydra.sweeper.params."


# Hydra takes two sources of files with different names for a mistake.
class FileConfigSource(file_config_source.FileConfigSource):
    """Hydra's source of config files, which reads them as `load_options` does."""

    def load_config(self, config_path: str) -> ConfigResult:
        """Load a file; `ConfigLoadError` if there is none, `BenchError` if it cannot be used."""
        name = self._normalize_file_name(config_path)
        file = Path(self.path, name)
        if not file.exists():
            raise ConfigLoadError(f"Config not found : {file}")
        text = _read(file)
        try:
            header = self._get_header_dict(text[:512])
        except ValueError as error:
            raise BenchError(f"{file}: {error}; write it as # @package _global_") from None
        package = header.get("package") or "_group_"
        if package == "_group_":
            package = ".".join(Path(name).parent.parts)
        config = _parse(text, file, "" if package == "_global_" else package)
        _check_defaults(config, file)
        return ConfigResult(
            config=config,
            path=f"{self.scheme()}://{self.path}",
            provider=self.provider,
            header=header,
        )


def use_for_hydra() -> None:
    """Let Hydra read config files with this source."""
    from hydra._internal.sources_registry import SourcesRegistry
    from hydra.core.plugins import Plugins

    Plugins.instance()  # registers Hydra's own source
    SourcesRegistry.instance().types[FileConfigSource.scheme()] = FileConfigSource


def load_options(file: Path, package: str = "") -> DictConfig:
    """Load a file of options, in which those that take text have exactly what is written.

    Parameters
    ----------
    file : Path
        YAML in UTF-8, with or without a byte order mark. It must have at least one option.
    package : str
        Group of the options; empty for files that name the groups.

    Raises
    ------
    BenchError
        If it cannot be read or parsed, or is no mapping of options to values; with the line.
    """
    return _parse(_read(file), file, package)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = bytes(error.object[: error.start]).count(b"\n") + 1
        raise BenchError(f"{file}, line {line}: not in UTF-8; save it as UTF-8") from None
    except OSError as error:
        raise BenchError(f"{file}: cannot be read ({error.strerror})") from None


def _parse(text: str, file: Path, package: str) -> DictConfig:
    try:
        loader = _loader()(text)
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            line = 1 if node is None else node.start_mark.line + 1
            kind = "there is nothing in it" if node is None else "not a mapping"
            raise BenchError(f"{file}, line {line}: {kind}; write options as name: value")
        _keep_text(node, f"{package}." if package else "")
        return cast("DictConfig", OmegaConf.create(loader.construct_document(node)))
    except yaml.YAMLError as error:
        raise BenchError(f"{file}, {_reason(error, text)}") from None
    except OmegaConfBaseException as error:
        raise BenchError(f"{file}: {str(error).splitlines()[0]}") from None


@cache
def _loader() -> Any:  # noqa: ANN401
    """Return the class that OmegaConf loads YAML with."""
    from omegaconf._utils import get_yaml_loader

    return get_yaml_loader()


def _keep_text(node: yaml.MappingNode, prefix: str) -> None:
    """Let the values of options that take text be text, where YAML would see numbers."""
    for key, value in node.value:
        name = f"{prefix}{key.value}".removeprefix(_SWEPT)
        if isinstance(value, yaml.MappingNode):
            _keep_text(value, f"{name}.")
        elif name in text_options():
            items = value.value if isinstance(value, yaml.SequenceNode) else [value]
            for item in items:
                if isinstance(item, yaml.ScalarNode) and item.tag != _NULL:
                    item.tag = _TEXT


def _check_defaults(config: DictConfig, file: Path) -> None:
    """Raise `BenchError` for a defaults list that Hydra would refuse with a traceback."""
    if "defaults" not in config:
        return
    defaults = cast("dict[str, Any]", OmegaConf.to_container(config))["defaults"]
    for entry in defaults if isinstance(defaults, list) else [{}]:
        value = next(iter(entry.values())) if isinstance(entry, dict) and len(entry) == 1 else entry
        names = value if isinstance(value, list) else [value]
        if not all(isinstance(name, str) or (name is None and name is not entry) for name in names):
            raise BenchError(
                f"{file}: defaults must be a list of choices such as - override /model: mobilenet, "
                "with numbers in quotes"
            )


def _reason(error: yaml.YAMLError, text: str) -> str:
    """Return the line and the reason of an error in YAML."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        line, problem = error.problem_mark.line + 1, str(error.problem)
        if "'\\t'" in problem:
            problem = "a tab; indent with spaces"
        elif error.context_mark is not None and error.context_mark.line + 1 < line:
            problem += f" ({error.context} in line {error.context_mark.line + 1})"
        return f"line {line}: {problem}"
    line = text.count("\n", 0, getattr(error, "position", 0)) + 1
    return f"line {line}: {getattr(error, 'reason', error)}"
