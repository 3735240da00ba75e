"""Web application of a competition: submissions, leaderboard and file names over HTTP."""

from __future__ import annotations

import hmac
import sqlite3
import sys
import time
from collections.abc import Callable, Sequence

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from outliers_bench.apps.competition.board import (
    CompetitionInfo,
    leaderboard_data,
    leaderboard_page,
    rank_groups,
)
from outliers_bench.apps.competition.check import RefusedError, read_submission
from outliers_bench.apps.competition.dataset import CompetitionData
from outliers_bench.apps.competition.rate_limit import RateLimiter, read_body
from outliers_bench.apps.competition.rules import Rules
from outliers_bench.apps.competition.score import score_submission
from outliers_bench.apps.competition.store import Entry, SubmissionStore

SUBMISSION_PATHS = ("/retrieval/", "/results/", "/retrieval", "/results")


def create_app(
    dataset: CompetitionData,
    store: SubmissionStore,
    rules: Rules,
    *,
    log: Callable[[str], None] = print,
) -> FastAPI:
    """Create the web application of a competition.

    Parameters
    ----------
    dataset : CompetitionData
        The labeled photos. No response contains a label.
    store : SubmissionStore
        Storage of the submissions.
    rules : Rules
        Limits, deadline and visibility of scores.
    log : callable
        Receives one line per submission.

    Returns
    -------
    FastAPI
    """
    # FastAPI's documentation pages would load scripts from other servers.
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    rate_limiter = RateLimiter(rules.per_minute)

    def score_and_store(body: bytes) -> Entry:
        submission = read_submission(body, dataset, max_rank=rules.max_rank)
        score = score_submission(submission, dataset, k=rules.k)
        return store.add(submission.group, score, body, now=time.time(), per_hour=rules.per_hour)

    async def submit(request: Request) -> Response:
        refused = None
        try:
            rate_limiter.admit(request.client.host if request.client else "", time.monotonic())
            _authorize(request, rules)
        except RefusedError as error:
            refused = error
        body = await read_body(request, max_bytes=rules.max_bytes)
        if refused is not None:  # a client reads the response only after sending its request
            raise refused
        entry = await run_in_threadpool(score_and_store, body)
        log(_log_line(entry, rules.metric))
        content: dict[str, object] = {"accepted": True, "id": entry.number, "group": entry.group}
        if rules.shows_scores(entry.time):
            content["results"] = entry.score.metrics
            content["intervals"] = entry.score.intervals
            if rules.metric in entry.score.metrics:
                content["accuracy"] = entry.score.metrics[rules.metric]
        else:
            content["message"] = "accepted; scores are not shown" + (
                f" before {rules.deadline_text}" if rules.deadline is not None else ""
            )
        return JSONResponse(content)

    for path in SUBMISSION_PATHS:
        app.post(path)(submit)

    def info_at(now: float) -> CompetitionInfo:
        return CompetitionInfo(
            name=dataset.split.name,
            queries=len(dataset.queries),
            gallery=len(dataset.gallery),
            max_rank=rules.max_rank,
            metric=rules.metric,
            deadline=rules.deadline_text,
            is_closed=rules.is_closed(now),
            shows_scores=rules.shows_scores(now),
        )

    @app.get("/")
    def page() -> HTMLResponse:
        info = info_at(time.time())
        rows = rank_groups(store.entries(), metric=rules.metric, show_scores=info.shows_scores)
        return HTMLResponse(leaderboard_page(rows, info))

    @app.get("/leaderboard.json")
    def data() -> JSONResponse:
        info = info_at(time.time())
        rows = rank_groups(store.entries(), metric=rules.metric, show_scores=info.shows_scores)
        return JSONResponse(leaderboard_data(rows, info))

    file_names = {
        "query": sorted([*dataset.queries, *dataset.ignored_queries]),
        "gallery": sorted([*dataset.gallery, *dataset.ignored_gallery]),
        "max_rank": rules.max_rank,
    }

    @app.get("/files")
    def files() -> JSONResponse:
        return JSONResponse(file_names)

    app.add_exception_handler(RefusedError, _handle_refused)
    app.add_exception_handler(HTTPException, _handle_http_exception)
    app.add_exception_handler(sqlite3.Error, _handle_database_error)
    app.add_exception_handler(Exception, _handle_internal_error)
    return app


def _authorize(request: Request, rules: Rules) -> None:
    if rules.token is not None:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(token.encode(errors="replace"), rules.token.encode()):
            raise RefusedError(
                401, "the token is missing or wrong; send it as Authorization: Bearer <token>"
            )
    if rules.is_closed(time.time()):
        raise RefusedError(403, f"the competition closed on {rules.deadline_text}")


def _log_line(entry: Entry, metric: str) -> str:
    value = entry.score.metrics.get(metric)
    score = "" if value is None else f"  {metric} {value:.3f}"
    return f"{time.strftime('%H:%M:%S')}  #{entry.number}  {entry.group}{score}"


def _error_response(
    status: int, reason: str, files: Sequence[str] = (), headers: dict[str, str] | None = None
) -> JSONResponse:
    content: dict[str, object] = {"accepted": False, "error": reason}
    if files:
        content["files"] = list(files)
    return JSONResponse(content, status, headers)


async def _handle_refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)  # noqa: S101 - the handler is registered for this type
    headers = {}
    if error.retry_after > 0:
        headers["Retry-After"] = str(int(error.retry_after) + 1)
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if error.status in (408, 413):  # the client may still be sending
        headers["Connection"] = "close"
    return _error_response(error.status, error.reason, error.files, headers)


async def _handle_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - the handler is registered for this type
    reason = str(error.detail)
    if error.status_code == 404:
        reason = f"not found; submit by POST to {SUBMISSION_PATHS[0]}"
    elif error.status_code == 405:
        reason = f"{request.method} is not allowed; submit by POST to {SUBMISSION_PATHS[0]}"
    headers = None if error.headers is None else dict(error.headers)
    return _error_response(error.status_code, reason, headers=headers)


async def _handle_database_error(_: Request, error: Exception) -> Response:
    print(f"error: SQLite: {error}", file=sys.stderr)
    return _error_response(503, "the server cannot access its submissions; try again later")


async def _handle_internal_error(_: Request, __: Exception) -> Response:
    # uvicorn prints the traceback
    return _error_response(500, "internal server error; the submission does not count")
