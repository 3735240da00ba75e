"""`python -m outliers_bench.competition`: a server that accepts and scores submissions."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from outliers_bench.apps.competition.options import PROGRAM, Competition, parse_deadline
from outliers_bench.errors import BenchError
from outliers_bench.runtime.command_line import main as command
from outliers_bench.runtime.invocation import install_command

if TYPE_CHECKING:
    from fastapi import FastAPI

_MAX_CONNECTIONS = 200
_SHUTDOWN_TIMEOUT = 10  # seconds for requests in progress when the server ends


def serve(options: Competition) -> int:
    """Load the photos, open the store, and serve until Ctrl-C.

    Raises
    ------
    BenchError
        If an option is invalid, the photos cannot be used for a competition, or the address is not
        available.
    """
    options.check()
    from outliers_bench.apps.competition.dataset import load_competition_data, select_source

    source = select_source(options.root, options.manifest)
    try:
        import uvicorn

        from outliers_bench.apps.competition.app import create_app
    except ImportError as error:
        raise BenchError(
            f"a competition needs {error.name}: {install_command('competition')}"
        ) from None
    from outliers_bench.apps.competition.board import content_security_policy
    from outliers_bench.apps.competition.listen import listen, url_of
    from outliers_bench.apps.competition.rules import Rules
    from outliers_bench.apps.competition.store import SubmissionStore
    from outliers_bench.apps.submit.options import get_token
    from outliers_bench.data.image_files import make_cache_dir

    dataset = load_competition_data(
        source, cache=make_cache_dir(options.cache), names=options.names
    )
    store = SubmissionStore(Path(options.store), dataset.split.fingerprint)
    rules = Rules(
        metric=options.metric,
        k=options.k,
        max_rank=options.max_rank,
        max_bytes=options.max_bytes or dataset.max_submission_bytes(options.max_rank),
        per_minute=options.per_minute,
        per_hour=options.per_hour,
        token=get_token(options.token),
        public=options.public,
        deadline=parse_deadline(options.deadline),
    )
    server_socket = listen(options.host, options.port)
    app: FastAPI = create_app(dataset, store, rules, log=_print)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            lifespan="off",
            proxy_headers=False,  # any client could forge them
            server_header=False,
            headers=[
                ("Content-Security-Policy", content_security_policy()),
                ("X-Content-Type-Options", "nosniff"),
                ("Referrer-Policy", "no-referrer"),
                ("Cache-Control", "no-store"),
            ],
            limit_concurrency=_MAX_CONNECTIONS,
            timeout_graceful_shutdown=_SHUTDOWN_TIMEOUT,
        )
    )
    url = url_of(server_socket)
    _print(
        f"{dataset.split.name}: {len(dataset.queries):,} queries, {len(dataset.gallery):,} gallery "
        f"images, {len(store.entries()):,} submissions in {options.store}"
    )
    if others := store.count_other_splits():
        _print(f"{others:,} more submissions are for other photos or labels and are ignored")
    _print(f"submissions    POST {url}/retrieval/ (at most {rules.max_bytes:,} bytes)")
    _print(f"leaderboard    {url}/")
    with suppress(KeyboardInterrupt):  # uvicorn raises it again after its shutdown
        server.run(sockets=[server_socket])
    _print(f"stopped; submissions in {options.store}: {len(store.entries()):,}")
    return 0


def _print(line: str) -> None:
    print(line, flush=True)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command; see `command_line.main` for `arguments` and the exit code."""
    return command(Competition, serve, program=PROGRAM, arguments=arguments)
