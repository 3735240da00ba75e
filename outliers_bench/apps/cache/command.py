"""`python -m outliers_bench.cache`: list, verify and prune the cache."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from outliers_bench.apps.cache.entries import (
    KINDS,
    NOT_PRUNED,
    SEALED,
    STORES,
    Entry,
    find_entries,
    keep_access_times,
)
from outliers_bench.apps.cache.options import Cache
from outliers_bench.data.image_files import resolve_cache_dir
from outliers_bench.errors import BenchError
from outliers_bench.runtime.command_line import main
from outliers_bench.runtime.progress import track
from outliers_bench.runtime.units import format_bytes

PROGRAM = "python -m outliers_bench.cache"
DAMAGE_FOUND = 1  # exit code
IN_USE = 3600.0  # seconds; what was used more recently is not pruned
_ROW = "{:<10}  {:>10}  {:>5}  {:>6}  {:<10}  {}"


def work(options: Cache) -> int:
    """List, verify or prune the cache; see `Cache`."""
    options.check()
    cache = resolve_cache_dir(options.cache)
    if not cache.is_dir():
        raise BenchError(f"cache={cache}: there is no such folder")
    entries = find_entries(cache, options.kinds)
    if options.verify:
        return _verify(entries, apply=options.apply)
    if options.older_than is None and options.max_size is None:
        _list(entries)
        print(f"Cache: {cache}")
        return 0
    return _prune(entries, options)


def _list(entries: list[Entry]) -> None:
    total = sum(entry.nbytes for entry in entries)
    print(_ROW.format("kind", "size", "share", "files", "last used", "belongs to"))
    rows: list[tuple[int, str]] = []
    for kind in KINDS:
        own = [entry for entry in entries if entry.kind == kind]
        # Results of other kinds are many and small: one row for all of them.
        single = kind in STORES or kind in SEALED
        for group in [[entry] for entry in own] if single else [own] if own else []:
            size = sum(entry.nbytes for entry in group)
            used = time.strftime("%Y-%m-%d", time.localtime(max(entry.used for entry in group)))
            files = f"{sum(entry.files for entry in group):,}"
            text = (group[0].belongs_to() if single else "") or KINDS[kind]
            share = f"{size / max(total, 1):.0%}"
            rows.append((size, _ROW.format(kind, format_bytes(size), share, files, used, text)))
    for _, row in sorted(rows, reverse=True):
        print(row)
    print(f"Total: {format_bytes(total)} in {sum(entry.files for entry in entries):,} files")


def _verify(entries: list[Entry], *, apply: bool) -> int:
    from outliers_bench.apps.cache.damage import find_damage, mend

    remaining = damaged = 0
    for entry in track(entries, stage="verify", total=len(entries), unit="results"):
        with keep_access_times(entry.path):
            problem = find_damage(entry)
        if problem:
            damaged += 1
            done = apply and entry.kind not in NOT_PRUNED and mend(entry)
            remaining += not done
            state = "repaired" if done and entry.path.exists() else "removed" if done else "damaged"
            print(f"{state}: {entry.path} ({problem})")
    print(f"{len(entries):,} results verified, {damaged:,} damaged")
    if remaining and not apply:
        print("Nothing was changed; apply=true removes damaged results and repairs feature files")
    return DAMAGE_FOUND if remaining else 0


def _prune(entries: list[Entry], options: Cache) -> int:
    from outliers_bench.apps.cache.damage import remove_entry

    chosen = choose(entries, max_age=options.max_age(), max_bytes=options.max_bytes())
    removed: Counter[str] = Counter()
    skipped = 0
    for entry in track(chosen, stage="prune", total=len(chosen), unit="results"):
        if not options.apply or remove_entry(entry):
            removed[entry.kind] += entry.nbytes
        else:
            skipped += 1
            print(f"in use, not removed: {entry.path}")
    for kind, size in removed.most_common():
        print(f"{kind:<10}  {format_bytes(size):>10}")
    what = f"{len(chosen) - skipped:,} results, {format_bytes(removed.total())}"
    if options.apply:
        print(f"Removed: {what}")
    else:
        print(f"Nothing was removed; apply=true removes {what}")
    return 0


def choose(
    entries: list[Entry],
    *,
    max_age: float | None,
    max_bytes: float | None,
    now: float | None = None,
) -> list[Entry]:
    """Choose results to remove, those that were used least recently first.

    Parameters
    ----------
    entries : list of Entry
    max_age : float or None
        Seconds since the last use of what stays.
    max_bytes : float or None
        Size of what stays.
    now : float or None
        Seconds since 1970; None is the present.

    Returns
    -------
    list of Entry
        Without those of kinds that are not pruned, and those used within `IN_USE` seconds.
    """
    now = time.time() if now is None else now
    total = sum(entry.nbytes for entry in entries)
    chosen = []
    for entry in sorted(entries, key=lambda entry: entry.used):
        age = now - entry.used
        if entry.kind in NOT_PRUNED or age < IN_USE:
            continue
        is_old = max_age is not None and age > max_age
        if is_old or (max_bytes is not None and total > max_bytes):
            chosen.append(entry)
            total -= entry.nbytes
    return chosen


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command; see `command_line.main` for `arguments` and the exit code."""
    return main(Cache, work, program=PROGRAM, arguments=arguments)
