"""python -m outliers_bench.datasets: the named data sets, and fetching them ahead."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from outliers_bench.data.download.checksum import format_bytes
from outliers_bench.data.image_files import usual_cache
from outliers_bench.data.named.catalog import NAMED
from outliers_bench.data.named.local_copy import is_here
from outliers_bench.data.named.metadata import About
from outliers_bench.data.named.source import NamedSet
from outliers_bench.errors import BenchError
from outliers_bench.runtime.command_line import main
from outliers_bench.runtime.invocation import as_called

PROGRAM = "python -m outliers_bench.datasets"


@dataclass
class Options:
    """List the data sets that are known by name, or fetch some of them ahead of the runs.

    Parameters
    ----------
    names : list of str
        Data sets to fetch, as on a machine whose compute nodes have no network; none lists them.
    cache : str or None
        Folder of what is kept between runs, in which datasets/ is made; null takes the
        environment's OUTLIERS_BENCH_CACHE or ~/.cache/outliers_bench.
    url : str
        A mirror: a folder on the web that has the publisher's files under their names.
    verify : bool
        Whether what comes must have the published sizes and digests.
    """

    names: list[str] = field(default_factory=list)
    cache: str | None = None
    url: str | None = None
    verify: bool = True


def work(options: Options) -> int:
    """List or fetch; see `Options`."""
    from outliers_bench.config.hydra_errors import instead

    cache = usual_cache(options.cache)
    unknown = [name for name in options.names if name not in NAMED]
    if unknown:
        raise BenchError(f"{unknown[0]}: no such data set{instead(unknown[0], list(NAMED))}")
    if options.url is not None and len(options.names) != 1:
        raise BenchError(f"url={options.url}: a mirror is of one data set; name it")
    sources = [NAMED[name](url=options.url, verify=options.verify) for name in options.names]
    with _in_own_words():
        for source in sources:  # all of them before the first is fetched
            source.check()
        for source in sources:
            _fetch(source, cache)
    if not sources:
        _list(cache)
    return 0


def _fetch(source: NamedSet, cache: Path) -> None:
    about = source.about
    print(f"{about.name}: license: {about.license} ({about.source})")
    print(f"cite: {about.citation}", flush=True)
    place = source.place(cache)
    so = ""
    if not source.verify:
        so = " data.verify=false" + ("" if source.url is None else f" data.url={source.url}")
    use = as_called(f"python -m outliers_bench data={about.name}{so}")
    print(f"{about.name} is in {place}; to use it: {use}")


@contextmanager
def _in_own_words() -> Iterator[None]:
    """Let errors name this command's options, not those of a run."""
    try:
        yield
    except BenchError as error:
        told = str(error).replace("cache.dir=", "cache=").replace("data.url=", "url=")
        raise BenchError(told) from None


def _list(cache: Path) -> None:
    heads = ("data=", "images", "classes", "download", "here", "license")
    rows = [heads, *(_row(kind.about, cache) for kind in NAMED.values())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    for row, kind in zip(rows, (None, *NAMED.values()), strict=True):
        cells = [
            cell.rjust(width) if 1 <= column <= 3 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())
        if kind is not None:
            print(f"    {kind.about.source}")
    print(f"\nFetch one ahead: {as_called(PROGRAM)} caltech101 (into {cache / 'datasets'})")


def _row(about: About, cache: Path) -> tuple[str, ...]:
    size = "not stated" if about.size is None else format_bytes(about.size)
    size = size if about.files else "by hand"
    here = "yes" if is_here(about, cache) else "no"
    counts = (f"{about.images:,}", f"{about.classes:,}")
    return (about.name, *counts, size, here, about.license)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command; see `command_line.main` for `arguments` and the exit code."""
    return main(Options, work, program=PROGRAM, loose="names", arguments=arguments)
