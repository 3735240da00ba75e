"""`python -m outliers_bench.submit`: submit a run's ranking to a competition."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from outliers_bench.apps.submit.names import Names
from outliers_bench.apps.submit.options import PROGRAM, Submit, get_token
from outliers_bench.apps.submit.post import ServerError, ServerResponse, post
from outliers_bench.apps.submit.rankings import (
    Rankings,
    read_excluded_queries,
    read_rankings,
    to_json,
    use_competition_names,
)
from outliers_bench.apps.submit.record import log_submission, metric_names, write_file
from outliers_bench.apps.submit.response import (
    Scores,
    is_json,
    read_scores,
    redact_token,
    to_one_line,
)
from outliers_bench.errors import BenchError
from outliers_bench.runtime import signals
from outliers_bench.runtime.command_line import main as command
from outliers_bench.runtime.http import redact_url
from outliers_bench.runtime.progress import status
from outliers_bench.runtime.units import list_first
from outliers_bench.tracking.lookup import download_artifact, find_run
from outliers_bench.tracking.store import connection

if TYPE_CHECKING:
    from mlflow.entities import Run

SERVER_ERROR = 1
_LISTED = 3  # excluded queries that are listed


def submit(options: Submit) -> int:
    """Read the ranking, save the submission, send it, and record the response.

    Returns the exit code: 0, 1 for an error of the server, or 130 after Ctrl-C.

    Raises
    ------
    BenchError
        If an option is invalid, the run has no suitable ranking, or the server rejects the
        submission.
    """
    options.check()
    with status("querying MLflow"):
        run, rankings, excluded = _read_run(options)
    images, *styles = use_competition_names(rankings, options.names)
    body = to_json(options.group, images)
    print(f"{run.info.run_name}, run {run.info.run_id[:8]}")
    print(f"{len(images):,} queries, the best {options.n} of each, {len(body):,} bytes")
    if excluded:
        count = "1 query" if len(excluded) == 1 else f"{len(excluded):,} queries"
        print(f"not sent, because the run excluded {count}: {list_first(excluded, _LISTED)}")
    if options.names is Names.auto:
        for part, style in zip(("query", "gallery"), styles, strict=True):
            if style is Names.path:
                print(f"files in {part} share base names, so folders are included: names=path")
    if options.dry_run is not None:
        write_file(Path(options.dry_run), body)
        print(f"written, not sent: {options.dry_run}")
        return 0
    # Microseconds, because a name that is given twice would replace the earlier submission.
    now = datetime.now().astimezone()
    submission = Path(options.folder, f"{run.info.run_id[:8]}-{now:%Y%m%d-%H%M%S-%f}.json")
    write_file(submission, body)
    try:
        with status("sending"):
            response = _send(options, body)
        suffix = ".answer.json" if is_json(response.body) else ".answer.txt"
        saved_response = submission.with_suffix(suffix)
        write_file(saved_response, response.body)
        scores = read_scores(response)
        _print_scores(scores)
        print(f"saved: {submission} and {saved_response.name}")
        _record(options, run, response, (submission, saved_response), scores)
    except KeyboardInterrupt:
        print(f"{signals.cause()}; the submission may have been accepted", file=sys.stderr)
        print(f"saved: {submission}", file=sys.stderr)
        return signals.exit_code()
    except ServerError as error:
        print(f"error: {to_one_line(str(error))}\nsaved: {submission}", file=sys.stderr)
        return SERVER_ERROR
    except BenchError as error:
        raise BenchError(f"{to_one_line(str(error))} (saved: {submission})") from None
    return 0


def _read_run(options: Submit) -> tuple[Run, Rankings, list[str]]:
    """Return the run, its rankings, and the queries that the run excluded."""
    with connection(options.uri) as client, tempfile.TemporaryDirectory() as folder:
        run = find_run(client, options.run)
        path = download_artifact(client, run.info.run_id, "ranking.parquet", folder)
        rankings = read_rankings(path, n=options.n)
        for name in ("excluded.csv", "left_out.csv"):  # the second is from earlier versions
            with suppress(BenchError):  # the file is missing if no query was excluded
                path = download_artifact(client, run.info.run_id, name, folder)
                return run, rankings, read_excluded_queries(path, rankings)
        return run, rankings, []


def _send(options: Submit, body: bytes) -> ServerResponse:
    assert options.url is not None  # noqa: S101 - validated by `check`

    token = get_token(options.token_file)
    response = post(
        options.url,
        body,
        token=token,
        timeout=options.timeout,
        retries=options.retries,
        report=lambda message: print(to_one_line(message), file=sys.stderr),
    )
    return response if token is None else redact_token(response, token)


def _print_scores(scores: Scores) -> None:
    if not scores.texts:
        print("accepted; the server does not show the scores yet")
    width = max((len(name) for name, _ in scores.texts), default=0)
    for name, text in scores.texts:
        print(f"  {name:<{width}}  {text}")


def _record(
    options: Submit,
    run: Run,
    response: ServerResponse,
    files: tuple[Path, Path],
    scores: Scores,
) -> None:
    names = metric_names(scores.numbers)
    try:
        with connection(options.uri) as client:
            log_submission(
                client,
                run.info.run_id,
                files=files,
                numbers={names[name]: value for name, value in scores.numbers.items()},
                tags={
                    "submission.url": redact_url(response.url),
                    "submission.time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
                    "submission.group": options.group[:5000],
                },
            )
    except BenchError as error:
        raise BenchError(
            f"the server accepted the submission, but it was not recorded in MLflow: {error}"
        ) from None
    print(f"recorded in MLflow run {run.info.run_id} under submission/ and submissions/")


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command; see `command_line.main` for `arguments` and the exit code."""
    return command(Submit, submit, program=PROGRAM, arguments=arguments)
