"""Web application of a competition: submissions, leaderboard and file names over HTTP."""

from __future__ import annotations

import hmac
import sqlite3
import sys
import time

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.concurrency import run_in_threadpool

from outliers_bench.apps.competition.board import leaderboard_data, leaderboard_page
from outliers_bench.apps.competition.check import read_submission
from outliers_bench.apps.competition.dataset import CompetitionData
from outliers_bench.apps.competition.options import Competition
from outliers_bench.apps.competition.score import score_parts, score_submission, split_queries
from outliers_bench.apps.competition.store import Entry, SubmissionStore
from outliers_bench.apps.submit.options import get_token
from outliers_bench.web.addresses import client_network
from outliers_bench.web.refusal import RefusedError, handle_refused
from outliers_bench.web.request_limits import RateLimiter, read_body

SUBMISSION_PATHS = ("/retrieval/", "/results/", "/retrieval", "/results")
READING = ["GET", "HEAD"]


def create_app(
    dataset: CompetitionData, store: SubmissionStore, rules: Competition, *, max_bytes: int
) -> FastAPI:
    """Create the web application of a competition; it prints one line per submission.

    No response contains a label. `max_bytes` is the maximum size of a submission.
    """
    # FastAPI's documentation pages would load scripts from other servers.
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    rate_limiter = RateLimiter(rules.per_minute)
    query_parts = split_queries(dataset, rules.public_share)
    token = get_token(rules.token_file)

    def score_and_store(body: bytes, address: str) -> Entry:
        submission = read_submission(body, dataset, max_rank=rules.max_rank)
        score = score_submission(submission, dataset, k=rules.k)
        parts = score_parts(submission, dataset, query_parts, k=rules.k)
        return store.add(
            submission.group,
            score,
            body,
            parts=parts,
            address=address,
            now=time.time(),
            per_hour=rules.per_hour,
            per_day=rules.per_day,
        )

    async def submit(request: Request) -> Response:
        address = client_network(request.client.host if request.client else "")
        refused = None
        try:
            rate_limiter.admit(address, time.monotonic())
            _authorize(request, rules, token)
        except RefusedError as error:
            refused = error
        body = await read_body(request, max_bytes=max_bytes)
        if refused is not None:  # a client reads the response only after sending its request
            raise refused
        entry = await run_in_threadpool(score_and_store, body, address)
        score_shown = entry.score_of(rules.part(is_final=False))
        value = score_shown.metrics.get(rules.metric)
        score = "" if value is None else f"  {rules.metric} {value:.3f}"
        print(f"{time.strftime('%H:%M:%S')}  #{entry.number}  {entry.group}{score}", flush=True)
        content: dict[str, object] = {"accepted": True, "id": entry.number, "group": entry.group}
        if rules.shows_scores(entry.time):
            content["results"] = score_shown.metrics
            content["intervals"] = score_shown.intervals
            content["queries"] = rules.part(is_final=False)
            if value is not None:
                content["accuracy"] = value
        else:
            before = f" before {rules.deadline_text}" if rules.deadline is not None else ""
            content["message"] = f"accepted; scores are not shown{before}"
        return JSONResponse(content)

    for path in SUBMISSION_PATHS:
        app.post(path)(submit)

    @app.api_route("/", methods=READING)
    def page() -> HTMLResponse:
        now = time.time()
        board = leaderboard_data(store.entries(), dataset, rules, now)
        return HTMLResponse(leaderboard_page(board, is_closed=rules.is_closed(now)))

    @app.api_route("/leaderboard.json", methods=READING)
    def data() -> JSONResponse:
        return JSONResponse(leaderboard_data(store.entries(), dataset, rules, time.time()))

    file_names = {
        "query": sorted([*dataset.queries, *dataset.ignored_queries]),
        "gallery": sorted([*dataset.gallery, *dataset.ignored_gallery]),
        "max_rank": rules.max_rank,
    }

    @app.api_route("/files", methods=READING)
    def files() -> JSONResponse:
        return JSONResponse(file_names)

    app.add_exception_handler(RefusedError, handle_refused)
    app.add_exception_handler(sqlite3.Error, _handle_database_error)
    return app


def _authorize(request: Request, rules: Competition, token: str | None) -> None:
    if token is not None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        is_equal = hmac.compare_digest(given.strip().encode(errors="replace"), token.encode())
        if scheme.lower() != "bearer" or not is_equal:
            raise RefusedError(
                401, "the token is missing or wrong; send it as Authorization: Bearer <token>"
            )
    if rules.is_closed(time.time()):
        raise RefusedError(403, f"the competition closed on {rules.deadline_text}")


async def _handle_database_error(_: Request, error: Exception) -> Response:
    print(f"error: SQLite: {error}", file=sys.stderr)
    reason = "the server cannot access its submissions; try again later"
    return JSONResponse({"accepted": False, "error": reason}, 503)
