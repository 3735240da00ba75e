"""Recording of sweep jobs that failed before their run was created."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from outliers_bench.tracking.description import rerun_command
from outliers_bench.tracking.runs import PARENT_TAG, failure_line, program_tags

if TYPE_CHECKING:
    from mlflow import MlflowClient

_NAME_LENGTH = 120


def record_failure(
    client: MlflowClient,
    parent_run_id: str,
    *,
    overrides: Sequence[str],
    error: BaseException,
    tags: Mapping[str, str] | None = None,
) -> str:
    """Record a job that failed before its run was created, as a FAILED child with the reason.

    Parameters
    ----------
    client : MlflowClient
        From `open_client`.
    parent_run_id : str
        Id of the sweep's parent run.
    overrides : sequence of str
        Overrides of the job, which become the run's name.
    error : BaseException
        Error that stopped the job.
    tags : mapping of str to str, optional
        Additional tags.

    Returns
    -------
    str
        Id of the run.
    """
    parent = client.get_run(parent_run_id)
    reason = failure_line(error)
    all_tags = {
        **program_tags(),
        **(tags or {}),
        "kind": "run",
        PARENT_TAG: parent_run_id,
        "overrides": shlex.join(overrides),
        "failure": reason,
        "mlflow.note.content": f"Not started: {reason}\n\n{rerun_command(overrides)}",
    }
    run = client.create_run(
        parent.info.experiment_id,
        tags=all_tags,
        run_name=(" ".join(overrides) or "failed job")[:_NAME_LENGTH],
    )
    client.set_terminated(run.info.run_id, "FAILED")
    return str(run.info.run_id)
