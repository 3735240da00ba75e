"""`python -m outliers_bench.submit`: hand in a run's ranking."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from outliers_bench.apps.submit.http_client import Answer, ServerError, public_address
from outliers_bench.apps.submit.names import Names
from outliers_bench.apps.submit.options import PROGRAM, Submit, token_of
from outliers_bench.apps.submit.post import post
from outliers_bench.apps.submit.rankings import (
    Rankings,
    as_given,
    as_json,
    left_out_queries,
    read_rankings,
)
from outliers_bench.apps.submit.record import (
    MOST,
    keep_answer,
    log_submission,
    metric_names,
    new_file,
    write,
)
from outliers_bench.apps.submit.response import Scores, plain, read_scores, without_token
from outliers_bench.errors import BenchError
from outliers_bench.runtime.command_line import INTERRUPTED
from outliers_bench.runtime.command_line import main as command
from outliers_bench.runtime.progress import status
from outliers_bench.tracking.lookup import KnownRun, download_artifact, find_run
from outliers_bench.tracking.recorder import get_recorder

SERVER_ERROR = 1
_NAMED = 3  # queries that are not sent and named


def submit(options: Submit) -> int:
    """Read the ranking, keep what is sent, send it, record the answer.

    Parameters
    ----------
    options : Submit

    Returns
    -------
    int
        0, or 1 where the server is at fault.

    Raises
    ------
    BenchError
        If an option is wrong, the run has no such ranking, or the server refuses what was sent.
    """
    options.check()
    with status("asking MLflow"):
        run, rankings, left_out = _read(options)
    images, *styles = as_given(rankings, options.names)
    body = as_json(options.group, images)
    print(f"{run.name}, run {run.run_id[:8]}")
    print(f"{len(images):,} queries, the best {options.n} of each, {len(body):,} bytes")
    if left_out:
        named = ", ".join(left_out[:_NAMED]) + (", ..." if len(left_out) > _NAMED else "")
        some = "1 query" if len(left_out) == 1 else f"{len(left_out):,} queries"
        print(f"not sent, for the run left out {some}: {named}")
    if options.names is Names.auto:
        for part, style in zip(("query", "gallery"), styles, strict=True):
            if style is Names.path:
                print(f"files in {part} share names, so they are sent with folders: names=path")
    if options.dry_run is not None:
        write(Path(options.dry_run), body)
        print(f"written, not sent: {options.dry_run}")
        return 0
    kept = new_file(Path(options.folder), f"{run.run_id[:8]}-{time.strftime('%Y%m%d-%H%M%S')}")
    write(kept, body)
    try:
        with status("sending"):
            answer = _send(options, body)
        said = keep_answer(kept, answer.body)
        scores = read_scores(answer)
        _show(scores)
        print(f"kept: {kept} and {said.name}")
        _record(options, run, answer, (kept, said), scores)
    except KeyboardInterrupt:
        print(f"interrupted; it may have been taken all the same\nkept: {kept}", file=sys.stderr)
        return INTERRUPTED
    except ServerError as error:
        print(f"error: {plain(str(error))}\nkept: {kept}", file=sys.stderr)
        return SERVER_ERROR
    except BenchError as error:
        raise BenchError(f"{plain(str(error))} (kept: {kept})") from None
    return 0


def _read(options: Submit) -> tuple[KnownRun, Rankings, list[str]]:
    """The run, its rankings, and the queries that are not in them."""
    tracking = get_recorder(options.uri)
    with tempfile.TemporaryDirectory() as fetched:
        run = tracking.call(find_run, options.run)
        path = tracking.call(download_artifact, run.run_id, "ranking.parquet", fetched)
        rankings = read_rankings(path, n=options.n)
        try:
            path = tracking.call(download_artifact, run.run_id, "left_out.csv", fetched)
        except BenchError:  # nothing was left out
            return run, rankings, []
        return run, rankings, left_out_queries(path, rankings)


def _send(options: Submit, body: bytes) -> Answer:
    assert options.url is not None  # noqa: S101 - `check` has refused it

    def tell(line: str) -> None:
        print(plain(line), file=sys.stderr)

    token = token_of(options.token)
    answer = post(
        options.url,
        body,
        token=token,
        timeout=options.timeout,
        retries=options.retries,
        tell=tell,
    )
    return answer if token is None else without_token(answer, token)


def _show(scores: Scores) -> None:
    if not scores.shown:
        print("accepted; the server keeps the scores to itself for now")
    wide = max((len(name) for name, _ in scores.shown[:MOST]), default=0)
    for name, text in scores.shown[:MOST]:
        print(f"  {name:<{wide}}  {text}")
    if len(scores.shown) > MOST:
        print(f"  and {len(scores.shown) - MOST:,} more, in the answer")


def _record(
    options: Submit, run: KnownRun, answer: Answer, files: tuple[Path, Path], scores: Scores
) -> None:
    numbers = dict(list(scores.numbers.items())[:MOST])
    names = metric_names(numbers)
    sent, said = files
    stamp = sent.stem.partition("-")[2]
    try:
        get_recorder(options.uri).call(
            log_submission,
            run.run_id,
            files={
                str(sent.absolute()): f"{stamp}.json",
                str(said.absolute()): f"{stamp}.answer{said.suffix}",
            },
            numbers={names[name]: value for name, value in numbers.items()},
            tags={
                "submission.url": public_address(answer.url),
                "submission.time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
                "submission.group": options.group[:5000],
            },
        )
    except BenchError as error:
        raise BenchError(f"the server has taken it, but MLflow has not: {error}") from None
    print(f"recorded in MLflow run {run.run_id} under submission/ and submissions/")


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command; see `command_line.main` for `arguments` and the exit code."""
    return command(Submit, submit, program=PROGRAM, arguments=arguments)
