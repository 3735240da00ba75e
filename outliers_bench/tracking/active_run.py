"""The run that is being recorded, from its start to its final status."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from outliers_bench.config import published_tags
from outliers_bench.models.precision import precision_label
from outliers_bench.tracking import provenance, senders
from outliers_bench.tracking.datasets import split_datasets
from outliers_bench.tracking.description import rerun_command
from outliers_bench.tracking.outbox import Box, Start, now
from outliers_bench.tracking.params import describe_method, flatten, to_mapping
from outliers_bench.tracking.records import name_of, without_password
from outliers_bench.tracking.runs import (
    CUT_SHORT,
    end_run,
    failure_line,
    log_run,
    log_start,
    program_tags,
)
from outliers_bench.types import Split

if TYPE_CHECKING:
    from outliers_bench.config.schema import Config

_NAME_LENGTH = 120
_LOST = {"call": name_of(end_run), "arguments": {"status": "KILLED", "failure": CUT_SHORT}}
_log = logging.getLogger(__name__)


class ActiveRun:
    """A run that is being recorded in a box of the outbox, which a sender empties meanwhile."""

    def __init__(self, box: Box, overrides: Sequence[str]) -> None:
        self.box = box
        self.overrides = tuple(overrides)
        self.logged_pictures: list[str] = []
        """Names of the files logged under `pictures`."""

    def add(self, function: Callable[..., Any], **arguments: Any) -> None:  # noqa: ANN401
        """Add a record; see `Box.add`."""
        self.box.add(function, **arguments)
        senders.wake(self.box)

    def log(self, folder: Path, *, tags: Mapping[str, str], metrics: Mapping[str, float]) -> None:
        """Log the files in a folder of the box, tags and metrics; see `runs.log_run`."""
        self.logged_pictures += sorted(path.name for path in (folder / "pictures").glob("*"))
        self.add(log_run, folder=folder, tags=dict(tags), metrics=dict(metrics), time=now())

    def end(self, status: str, failure: str | None = None) -> None:
        """End the run; see `runs.end_run`."""
        self.add(end_run, last=True, status=status, time=now(), failure=failure)


@contextmanager
def start_run(
    config: Config,
    split: Split,
    *,
    identity: str,
    sweep: Box | None = None,
    overrides: Sequence[str] = (),
    tags: Mapping[str, str] | None = None,
) -> Iterator[ActiveRun]:
    """Record a run until the end of the `with` block.

    Everything goes into the outbox, so that nothing waits for MLflow. The run ends as FINISHED, as
    FAILED with the exception's type and message in the tag `failure`, or as KILLED after Ctrl-C, or
    if this process disappears. Exceptions are raised again.

    Parameters
    ----------
    config : Config
        The resolved config, which has the tracking URI and the cache with the outbox.
    split : Split
    identity : str
        Digest of everything the scores depend on; see `find_finished`.
    sweep : Box or None
        Box of the sweep that the run belongs to.
    overrides : sequence of str
        Arguments of the command line, recorded so that the run can be repeated.
    tags : mapping or None
        Tags that replace those of a single run.
    """
    values = to_mapping(config)
    values["tracking"]["uri"] = without_password(config.tracking.uri)
    overrides = [without_password(word) for word in overrides]
    outbox, uri = senders.store_of(config.cache.path, config.tracking.uri)
    start = Start(
        uri=uri,
        experiment=config.tracking.experiment or split.name,
        name=str(describe_method(config)),
        tags={**_tags(config, split, identity, overrides), **(tags or {})},
        parent=None if sweep is None else sweep.key,
        if_lost=_LOST,
    )
    run = ActiveRun(senders.create_box(outbox, start, sweep=sweep), overrides)
    try:
        run.add(
            log_start,
            params=flatten(values),
            config=yaml.safe_dump(values, allow_unicode=True, sort_keys=False),
            versions=provenance.versions(),
            time=now(),
            datasets=split_datasets(split, values["data"], address=config.data.source_url()),
        )
        yield run
    except BaseException as error:
        stopped = isinstance(error, KeyboardInterrupt | SystemExit)
        with suppress(OSError):  # the outbox is gone or full: the run ends as lost
            run.end("KILLED" if stopped else "FAILED", failure_line(error))
        raise
    run.end("FINISHED")


def record_failure(
    sweep: Box, *, overrides: Sequence[str], error: BaseException, tags: Mapping[str, str]
) -> None:
    """Record a job that failed before its run was started, as a FAILED job with the reason.

    The overrides of the job become the name of its run.
    """
    reason = failure_line(error)
    overrides = [without_password(word) for word in overrides]
    start = Start(
        uri=sweep.start.uri,
        experiment=sweep.start.experiment,
        name=(" ".join(overrides) or "failed job")[:_NAME_LENGTH],
        tags={
            **program_tags(),
            **tags,
            "kind": "run",
            "overrides": shlex.join(overrides),
            "mlflow.note.content": f"Not started: {reason}\n\n{rerun_command(overrides)}",
        },
        parent=sweep.key,
        if_lost=_LOST,
    )
    box = senders.create_box(sweep.path.parent, start, sweep=sweep)
    ActiveRun(box, overrides).end("FAILED", reason)


def _tags(config: Config, split: Split, identity: str, overrides: Sequence[str]) -> dict[str, str]:
    method = describe_method(config)
    row = config.published
    precision = precision_label(config.model, config.engine, config.cache.path)
    if row.table and (changes := published_tags.changes(overrides, precision=precision)):
        published_row = f"the row {row.row} of {row.table}"
        _log.warning("not recorded as %s, which differs in %s", published_row, " ".join(changes))
    return {
        **program_tags(),
        "kind": "run",
        "family": config.model.family,
        **published_tags.tags(row, overrides, precision=precision),
        "data": split.name,
        "model": method.model,
        "variant": method.variant,
        "reduction": method.reduction,
        "index": method.index,
        "similarity": method.similarity,
        "rerank": method.rerank,
        "split_fingerprint": split.fingerprint,
        **({"evaluate": "validation"} if split.is_validation else {}),
        "identity": identity,
        "overrides": shlex.join(overrides),
        **{f"version.{name}": value for name, value in provenance.main_versions().items()},
        **{f"machine.{name}": value for name, value in provenance.machine().items()},
    }
