"""`python -m outliers_bench.competition`: a server that takes and scores submissions."""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from outliers_bench.command import main as command
from outliers_bench.config import Cache
from outliers_bench.errors import BenchError
from outliers_bench.evaluation.names import is_score
from outliers_bench.submit.names import Names

if TYPE_CHECKING:
    from fastapi import FastAPI

PROGRAM = "python -m outliers_bench.competition"
TOKEN = "OUTLIERS_BENCH_TOKEN"  # noqa: S105 - where it stands, not what it is
_CACHE = "~/.cache/outliers_bench"
_CONNECTIONS = 200
_LAST_WORDS = 10  # seconds for what is under way when the server ends


@dataclass
class Competition:
    """Run a retrieval competition for a class: take submissions, score them, show who leads.

    1. Lay out labelled photos as photos/query/<class>/ and photos/gallery/<class>/, and give each
       a file name that is its only one and tells nothing, such as q0001.jpg.
    2. Give the class the same files in two folders query and gallery, without classes.
    3. Start this server with root=photos. Groups hand in by POST of JSON to /retrieval/ or
       /results/: {"groupname": ..., "images": {"<query file>": ["<gallery file>", ...]}}, best
       first; with this package: python -m outliers_bench.submit run=last group=... url=...
    4. The leaderboard is at /, its data at /leaderboard.json, the file names at /files.

    It listens to this machine alone; host=0.0.0.0 lets others in. Nobody proves which group they
    are: a token keeps strangers out, the class has to be honest. Submissions are on disk when they
    are answered; the server may be stopped and started at any time. Ctrl-C ends it.

    Parameters
    ----------
    root : str or None
        The folder with query/ and gallery/, a folder for each class in them.
    manifest : str or None
        Instead of root: a table with the columns path, label and split, as for data=manifest.
    host : str
        Address to listen at.
    port : int
        Port to listen at; 0 takes a free one.
    token : str or None
        Submissions need it, as Authorization: Bearer; better given in the environment's
        OUTLIERS_BENCH_TOKEN. Who can reach the server sees the leaderboard without.
    store : str
        SQLite file of the submissions.
    max_rank : int
        How many gallery images a query may have.
    max_bytes : int or None
        How large a submission may be; null takes what its files need.
    k : list of int
        Cut-offs of hit rate and precision.
    metric : str
        What the leaderboard is ordered by.
    per_minute : int
        How many submissions an address may send within a minute, refused ones too.
    per_hour : int
        How many submissions of a group are accepted within an hour.
    public : bool
        Whether scores are shown; with false they are once the deadline has passed.
    deadline : str or None
        When it closes, such as 2026-12-24T18:00, in this machine's time where none is said.
    names : Names
        What the files are called: base (what follows the last slash), or path (below query/ and
        gallery/), which tells the classes and so does for a rehearsal only; auto is base.
    cache : str or None
        Where digests of the photos are kept; null takes the environment's OUTLIERS_BENCH_CACHE or
        ~/.cache/outliers_bench.
    """

    root: str | None = None
    manifest: str | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None
    store: str = "competition.db"
    max_rank: int = 100
    max_bytes: int | None = None
    k: list[int] = field(default_factory=lambda: [1, 3, 5, 10])
    metric: str = "hit_at_1"
    per_minute: int = 60
    per_hour: int = 60
    public: bool = True
    deadline: str | None = None
    names: Names = Names.auto
    cache: str | None = None


def serve(options: Competition) -> int:
    """Find the photos, open the store, and serve until Ctrl-C.

    Raises
    ------
    BenchError
        If an option is wrong, the photos make no competition, or the address cannot be had.
    """
    _check(options)
    try:
        import uvicorn

        from outliers_bench.competition.app import Rules, application
    except ImportError as error:
        raise BenchError(
            f"a competition needs {error.name}: pip install 'outliers-bench[competition]'"
        ) from None
    from outliers_bench.competition.board import policy
    from outliers_bench.competition.held import hold, source_of
    from outliers_bench.competition.store import Store

    cache = Cache(options.cache or os.environ.get("OUTLIERS_BENCH_CACHE") or _CACHE)
    cache.check()
    held = hold(source_of(options.root, options.manifest), cache=cache.path, names=options.names)
    store = Store(Path(options.store), held.split.fingerprint)
    rules = Rules(
        metric=options.metric,
        k=options.k,
        max_rank=options.max_rank,
        max_bytes=options.max_bytes or held.largest(options.max_rank),
        per_minute=options.per_minute,
        per_hour=options.per_hour,
        token=options.token or os.environ.get(TOKEN) or None,
        public=options.public,
        deadline=_deadline(options.deadline),
    )
    listening = _listen(options.host, options.port)
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
    place = _place(listening)
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


def _check(options: Competition) -> None:
    for name in ("max_rank", "per_minute", "per_hour"):
        if getattr(options, name) < 1:
            raise BenchError(f"{name}={getattr(options, name)}: give 1 or more")
    if options.max_bytes is not None and options.max_bytes < 1:
        raise BenchError(f"max_bytes={options.max_bytes}: give 1 or more, or null")
    if not options.k or min(options.k) < 1:
        raise BenchError(f"k={options.k}: give cut-offs of 1 or more, such as k=[1,5,10]")
    if not is_score(options.metric) or options.metric == "mrr":
        raise BenchError(
            f"metric={options.metric}: give what a submission is scored by: hit_at_<k> or "
            "precision_at_<k>, map_at_r or r_precision"
        )
    cut_off = options.metric.rpartition("_at_")[2]
    if cut_off.isdecimal() and int(cut_off) not in options.k:
        raise BenchError(f"metric={options.metric}: {cut_off} is not among k={options.k}; add it")
    if not 0 <= options.port < 2**16:
        raise BenchError(f"port={options.port}: give 0 to 65535")
    _deadline(options.deadline)


def _deadline(given: str | None) -> datetime | None:
    if given is None:
        return None
    try:
        return datetime.fromisoformat(given).astimezone()
    except (ValueError, OverflowError):
        raise BenchError(
            f"deadline={given}: give a day and time, such as 2026-12-24T18:00"
        ) from None


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens, so that a port that is taken is told before anything else."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(128)
        except OSError:
            listening.close()
            raise
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BenchError(
            f"host={host} port={port}: cannot listen there ({reason.lower()}); give another, or "
            "port=0 for a free one"
        ) from None
    if not ipaddress.ip_address(listening.getsockname()[0].partition("%")[0]).is_loopback:
        print(
            f"warning: host={host} lets other machines in, over a connection that others can "
            f"read; {TOKEN} keeps strangers from submitting",
            file=sys.stderr,
        )
    return listening


def _place(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _tell(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(command(Competition, serve, program=PROGRAM))
