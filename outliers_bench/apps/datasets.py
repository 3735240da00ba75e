"""`python -m outliers_bench.datasets`: list named data sets and download them in advance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from outliers_bench.data.image_files import resolve_cache_dir
from outliers_bench.data.named.catalog import NAMED
from outliers_bench.data.named.local_copy import dataset_dir
from outliers_bench.data.named.source import NamedSet
from outliers_bench.errors import BenchError
from outliers_bench.runtime.command_line import instead, main
from outliers_bench.runtime.invocation import with_current_python
from outliers_bench.runtime.units import format_bytes

PROGRAM = "python -m outliers_bench.datasets"
_ROW = "{:<18}  {:>9}  {:>7}  {:>10}  {:<5}  {}"


@dataclass
class DatasetOptions:
    """List the named data sets, or download some of them before the runs.

    Parameters
    ----------
    names : list of str
        Data sets to download, e.g. for compute nodes without network; without names, all data sets
        are listed.
    cache : str or None
        Cache folder, in which datasets/ is created; null means the environment variable
        OUTLIERS_BENCH_CACHE or ~/.cache/outliers_bench.
    url : str
        URL of a mirror: a folder with the publisher's files under their original names.
    verify : bool
        Whether to verify the sizes and digests of the files.
    """

    names: list[str] = field(default_factory=list)
    cache: str | None = None
    url: str | None = None
    verify: bool = True


def list_or_fetch(options: DatasetOptions) -> int:
    """List the data sets, or download some; see `DatasetOptions`."""
    cache = resolve_cache_dir(options.cache)
    unknown = [name for name in options.names if name not in NAMED]
    if unknown:
        raise BenchError(f"{unknown[0]}: no such data set{instead(unknown[0], list(NAMED))}")
    if options.url is not None and len(options.names) != 1:
        raise BenchError(f"url={options.url}: a mirror has one data set; give its name")
    sources = [NAMED[name](url=options.url, verify=options.verify) for name in options.names]
    try:
        for source in sources:  # all are checked before the first download
            source.check()
        for source in sources:
            _fetch(source, cache)
    except BenchError as error:  # the options of a run have other names here
        message = str(error).replace("cache.dir=", "cache=").replace("data.url=", "url=")
        raise BenchError(message) from None
    if not sources:
        _print_table(cache)
    return 0


def _fetch(source: NamedSet, cache: Path) -> None:
    info = source.info
    print(f"{info.name}: license: {info.license} ({info.source})")
    print(f"cite: {info.citation}", flush=True)
    folder = source.files_dir(cache)
    options = ""
    if not source.verify:
        options = " data.verify=false" + ("" if source.url is None else f" data.url={source.url}")
    use = with_current_python(f"python -m outliers_bench data={info.name}{options}")
    print(f"{info.name} is in {folder}; to use it: {use}")


def _print_table(cache: Path) -> None:
    print(_ROW.format("data=", "images", "classes", "download", "local", "license"))
    for kind in NAMED.values():
        info = kind.info
        size = "not stated" if info.size is None else format_bytes(info.size)
        counts = (f"{info.images:,}", f"{info.classes:,}", size if info.files else "by hand")
        is_local = "yes" if (dataset_dir(info, cache) / "files").is_dir() else "no"
        print(_ROW.format(info.name, *counts, is_local, info.license))
        print(f"    {info.source}")
    command = with_current_python(f"{PROGRAM} caltech101")
    print(f"\nDownload in advance: {command} (into {cache / 'datasets'})")


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command; see `command_line.main` for `arguments` and the exit code."""
    return main(
        DatasetOptions, list_or_fetch, program=PROGRAM, positional="names", arguments=arguments
    )
