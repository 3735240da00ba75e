"""Splits shared by the jobs of a sweep: loaded, split, and audited once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, cast

from outliers_bench.data.labels import describe_look_alikes
from outliers_bench.data.source import DataSource
from outliers_bench.data.validation import Evaluated, choose_validation, select_queries
from outliers_bench.errors import BenchError
from outliers_bench.leakage.policy import AuditedSplit, audit, load_split
from outliers_bench.types import Split

T = TypeVar("T")
_log = logging.getLogger(__name__)


class SharedSplits:
    """Loader of splits that returns the last splits again for the same request during a sweep.

    A job that starts an hour after the first one then does not see photos that were added in the
    meantime, which would make its metrics incomparable. Validation queries are taken out of the
    split that is shared, so that it is the same for them and for the other queries.
    """

    def __init__(self) -> None:
        self._sharing = False
        self._n_shared = 1  # splits of each type
        # By type: source, seed, split; the newest is last.
        self._last: dict[type, list[tuple[DataSource, int, Any]]] = {}

    def begin(self) -> None:
        """Start sharing; earlier splits are forgotten."""
        self._sharing, self._n_shared, self._last = True, 1, {}

    def keep(self, number: int) -> None:
        """Share this many splits, those of a repeated run, and not only the last."""
        self._n_shared = max(self._n_shared, number)

    def end(self) -> None:
        """Stop sharing; later calls load again."""
        self._sharing, self._last = False, {}

    def load(self, source: DataSource, *, seed: int, cache: Path) -> Split:
        """Return the split of a source to rank; see `load_audited`."""
        return self.load_audited(source, seed=seed, cache=cache).split

    def load_whole(self, source: DataSource, *, seed: int, cache: Path) -> Split:
        """Return the split of a source with all queries, before its audit; see `DataSource.load`.

        Labels that look alike are named in a warning.
        """
        if len(source.each_split()) > 1:
            raise BenchError(
                "data.repeats and data.folds are runs on several splits, by the command line; give "
                "data.split_seed=0 or data.fold=0 for one of them"
            )

        def load() -> Split:
            split = load_split(source, seed=seed, cache=cache)
            if text := describe_look_alikes(split.gallery.classes):
                _log.warning("%s: %s", split.name, text)
            return split

        return self._share(Split, source, seed, load)

    def load_unaudited(
        self, source: DataSource, *, seed: int, cache: Path, whole: Split | None = None
    ) -> Split:
        """Return the split of a source with the queries to rank, before its audit.

        `whole` is the result of `load_whole`, which is loaded otherwise.
        """
        whole = whole or self.load_whole(source, seed=seed, cache=cache)
        return select_queries(whole, *_choice(whole, source, seed))

    def load_audited(
        self, source: DataSource, *, seed: int, cache: Path, whole: Split | None = None
    ) -> AuditedSplit:
        """Return the split of a source to rank, with the leakage in it; see `audit`.

        `whole` is the result of `load_whole`, which is loaded otherwise.
        """
        every = whole or self.load_whole(source, seed=seed, cache=cache)
        audited = self._share(
            AuditedSplit, source, seed, lambda: audit(every, source.leakage, cache=cache)
        )
        return audited.select_queries(*_choice(every, source, seed))

    def _share(self, kind: type[T], source: DataSource, seed: int, load: Callable[[], T]) -> T:
        # Equal options are equal sources.
        if source.validation is not None or source.evaluate is not None:
            source = replace(source, validation=None, evaluate=None)
        last = self._last.setdefault(kind, [])
        for *request, shared in last:
            if request == [source, seed]:
                return cast("T", shared)
        split = load()
        if self._sharing:
            last.append((source, seed, split))
            del last[: -self._n_shared]
        return split


def _choice(whole: Split, source: DataSource, seed: int) -> tuple[frozenset[bytes], Evaluated]:
    """Return the validation queries, and those that are ranked."""
    chosen: frozenset[bytes] = frozenset()
    if source.validation:
        seed = source.seed_of_split(seed)
        chosen = choose_validation(whole, share=source.validation, seed=seed)
    return chosen, source.evaluate or Evaluated.queries


splits = SharedSplits()
"""The shared splits of this process."""
