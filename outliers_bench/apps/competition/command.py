"""`python -m outliers_bench.competition`: a server that takes and scores submissions."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from outliers_bench.apps.competition.options import PROGRAM, Competition, closing
from outliers_bench.errors import BenchError
from outliers_bench.runtime.command_line import main as command
from outliers_bench.runtime.invocation import install

if TYPE_CHECKING:
    from fastapi import FastAPI

_CONNECTIONS = 200
_LAST_WORDS = 10  # seconds for what is under way when the server ends


def serve(options: Competition) -> int:
    """Find the photos, open the store, and serve until Ctrl-C.

    Raises
    ------
    BenchError
        If an option is wrong, the photos make no competition, or the address cannot be had.
    """
    options.check()
    from outliers_bench.apps.competition.dataset import hold, source_of

    source = source_of(options.root, options.manifest)
    try:
        import uvicorn

        from outliers_bench.apps.competition.app import application
    except ImportError as error:
        raise BenchError(f"a competition needs {error.name}: {install('competition')}") from None
    from outliers_bench.apps.competition.board import policy
    from outliers_bench.apps.competition.listen import address_of, listen
    from outliers_bench.apps.competition.rules import Rules
    from outliers_bench.apps.competition.store import Store
    from outliers_bench.apps.submit.options import token_of
    from outliers_bench.data.image_files import cache_folder

    held = hold(source, cache=cache_folder(options.cache), names=options.names)
    store = Store(Path(options.store), held.split.fingerprint)
    rules = Rules(
        metric=options.metric,
        k=options.k,
        max_rank=options.max_rank,
        max_bytes=options.max_bytes or held.largest(options.max_rank),
        per_minute=options.per_minute,
        per_hour=options.per_hour,
        token=token_of(options.token),
        public=options.public,
        deadline=closing(options.deadline),
    )
    listening = listen(options.host, options.port)
    app: FastAPI = application(held, store, rules, tell=_tell)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            lifespan="off",
            proxy_headers=False,  # anybody could write them
            server_header=False,
            headers=[
                ("Content-Security-Policy", policy()),
                ("X-Content-Type-Options", "nosniff"),
                ("Referrer-Policy", "no-referrer"),
                ("Cache-Control", "no-store"),
            ],
            limit_concurrency=_CONNECTIONS,
            timeout_graceful_shutdown=_LAST_WORDS,
        )
    )
    place = address_of(listening)
    _tell(
        f"{held.split.name}: {len(held.queries):,} queries, {len(held.gallery):,} gallery images, "
        f"{len(store.entries()):,} submissions in {options.store}"
    )
    if others := store.elsewhere():
        _tell(f"{others:,} more are to other photos or labels, and do not count here")
    _tell(f"submissions    POST {place}/retrieval/ (at most {rules.max_bytes:,} bytes)")
    _tell(f"leaderboard    {place}/")
    with suppress(KeyboardInterrupt):  # uvicorn has ended, and passes the signal on
        server.run(sockets=[listening])
    _tell(f"ended; {len(store.entries()):,} submissions are in {options.store}")
    return 0


def _tell(line: str) -> None:
    print(line, flush=True)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command; see `command_line.main` for `arguments` and the exit code."""
    return command(Competition, serve, program=PROGRAM, arguments=arguments)
