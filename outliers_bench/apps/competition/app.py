"""The competition as a web application: what is asked for where, and what is answered."""

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

from outliers_bench.apps.competition.board import Facts, as_data, as_page, standings
from outliers_bench.apps.competition.check import RefusedError, read_submission
from outliers_bench.apps.competition.dataset import CompetitionData
from outliers_bench.apps.competition.rate_limit import PerMinute, read_body
from outliers_bench.apps.competition.rules import Rules
from outliers_bench.apps.competition.score import score
from outliers_bench.apps.competition.store import Entry, Store

SUBMIT_TO = ("/retrieval/", "/results/", "/retrieval", "/results")


def application(
    held: CompetitionData, store: Store, rules: Rules, *, tell: Callable[[str], None] = print
) -> FastAPI:
    """The application of one competition.

    Parameters
    ----------
    held : Held
        The photos. Their labels are in no answer.
    store : Store
        Where submissions are kept.
    rules : Rules
        What is allowed.
    tell : callable
        Gets a line for each submission.
    """
    # Its pages about itself would load their scripts from elsewhere.
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    visits = PerMinute(rules.per_minute)

    def handle(body: bytes) -> Entry:
        submission = read_submission(body, held, max_rank=rules.max_rank)
        worth = score(submission, held, k=rules.k)
        return store.add(submission.group, worth, body, now=time.time(), per_hour=rules.per_hour)

    async def submit(request: Request) -> Response:
        refused = None
        try:
            visits.admit(request.client.host if request.client else "", time.monotonic())
            _admit(request, rules)
        except RefusedError as error:
            refused = error
        body = await read_body(request, most=rules.max_bytes)
        if refused is not None:  # told once the client has finished sending, so that it listens
            raise refused
        entry = await run_in_threadpool(handle, body)
        shown = rules.shown(entry.at)
        tell(_line(entry, rules.metric))
        answer: dict[str, object] = {"accepted": True, "id": entry.number, "group": entry.group}
        if shown:
            answer["results"] = entry.worth.metrics
            answer["intervals"] = entry.worth.intervals
            if rules.metric in entry.worth.metrics:
                answer["accuracy"] = entry.worth.metrics[rules.metric]
        else:
            answer["message"] = "accepted; scores are not shown" + (
                f" before {rules.closing}" if rules.deadline is not None else ""
            )
        return JSONResponse(answer)

    for path in SUBMIT_TO:
        app.post(path)(submit)

    def facts(now: float) -> Facts:
        return Facts(
            name=held.split.name,
            queries=len(held.queries),
            gallery=len(held.gallery),
            max_rank=rules.max_rank,
            metric=rules.metric,
            deadline=rules.closing,
            closed=rules.closed(now),
            shown=rules.shown(now),
        )

    @app.get("/")
    def page() -> HTMLResponse:
        told = facts(time.time())
        rows = standings(store.entries(), metric=rules.metric, shown=told.shown)
        return HTMLResponse(as_page(rows, told))

    @app.get("/leaderboard.json")
    def data() -> JSONResponse:
        told = facts(time.time())
        rows = standings(store.entries(), metric=rules.metric, shown=told.shown)
        return JSONResponse(as_data(rows, told))

    names = {
        "query": sorted([*held.queries, *held.uncounted_queries]),
        "gallery": sorted([*held.gallery, *held.uncounted_gallery]),
        "max_rank": rules.max_rank,
    }

    @app.get("/files")
    def files() -> JSONResponse:
        return JSONResponse(names)

    app.add_exception_handler(RefusedError, _refuse)
    app.add_exception_handler(HTTPException, _elsewhere)
    app.add_exception_handler(sqlite3.Error, _not_kept)
    app.add_exception_handler(Exception, _failed)
    return app


def _admit(request: Request, rules: Rules) -> None:
    if rules.token is not None:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(errors="replace"), rules.token.encode()):
            raise RefusedError(
                401, "the token is missing or wrong; send it as Authorization: Bearer <token>"
            )
    if rules.closed(time.time()):
        raise RefusedError(403, f"the competition has closed, on {rules.closing}")


def _line(entry: Entry, metric: str) -> str:
    worth = entry.worth.metrics.get(metric)
    told = "" if worth is None else f"  {metric} {worth:.3f}"
    return f"{time.strftime('%H:%M:%S')}  #{entry.number}  {entry.group}{told}"


def _refused(
    status: int, reason: str, files: Sequence[str] = (), headers: dict[str, str] | None = None
) -> JSONResponse:
    content: dict[str, object] = {"accepted": False, "error": reason}
    if files:
        content["files"] = list(files)
    return JSONResponse(content, status, headers)


async def _refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)  # noqa: S101 - what it is registered for
    headers = {}
    if error.wait > 0:
        headers["Retry-After"] = str(int(error.wait) + 1)
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if error.status in (408, 413):  # who does not stop sending is cut off
        headers["Connection"] = "close"
    return _refused(error.status, error.reason, error.files, headers)


async def _elsewhere(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - what it is registered for
    reason = str(error.detail)
    if error.status_code == 404:
        reason = f"nothing is here; submissions go to {SUBMIT_TO[0]} by POST"
    elif error.status_code == 405:
        reason = f"{request.method} is not for here; submissions go to {SUBMIT_TO[0]} by POST"
    headers = None if error.headers is None else dict(error.headers)
    return _refused(error.status_code, reason, headers=headers)


async def _not_kept(_: Request, error: Exception) -> Response:
    print(f"error: SQLite says: {error}", file=sys.stderr)
    return _refused(503, "the server cannot reach its submissions now; try again later")


async def _failed(_: Request, __: Exception) -> Response:  # uvicorn prints the traceback
    return _refused(500, "the server has failed; nothing was counted")
