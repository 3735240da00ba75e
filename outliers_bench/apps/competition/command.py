"""`python -m outliers_bench.competition`: a server that accepts and scores submissions."""

from __future__ import annotations

import ipaddress
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from outliers_bench.apps.competition.options import PROGRAM, Competition
from outliers_bench.apps.submit.options import TOKEN_VARIABLE
from outliers_bench.errors import BenchError
from outliers_bench.runtime.command_line import main as command
from outliers_bench.runtime.invocation import install_command

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

    source = select_source(options.root, options.manifest, options.missing_labels, options.boxes)
    source.exclude_same = options.exclude_same
    try:
        import uvicorn

        from outliers_bench.apps.competition.app import create_app
    except ImportError as error:
        raise BenchError(
            f"a competition needs {error.name}: {install_command('competition')}"
        ) from None
    from outliers_bench.apps.competition.board import content_security_policy
    from outliers_bench.apps.competition.store import SubmissionStore
    from outliers_bench.data.image_files import make_cache_dir
    from outliers_bench.reports.data_summary import finding_rows
    from outliers_bench.reports.terminal import format_rows

    cache = make_cache_dir(options.cache)
    dataset = load_competition_data(source, cache=cache, names=options.names)
    store = SubmissionStore(Path(options.store), dataset.split.fingerprint)
    max_bytes = options.max_bytes or dataset.max_submission_bytes(options.max_rank)
    server_socket = _listen(options.host, options.port)
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(dataset, store, options, max_bytes=max_bytes),
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
    host, port = server_socket.getsockname()[:2]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    print(
        f"{dataset.split.name}: {len(dataset.queries):,} queries, {len(dataset.gallery):,} gallery "
        f"images, {len(store.entries()):,} submissions in {options.store}"
    )
    print("\n".join(format_rows(finding_rows(dataset.split), width=15)))
    if others := store.count_other_splits():
        print(f"{others:,} more submissions are for other photos or labels and are ignored")
    print(f"submissions    POST {url}/retrieval/ (at most {max_bytes:,} bytes)")
    print(f"leaderboard    {url}/", flush=True)
    with suppress(KeyboardInterrupt):  # uvicorn raises it again after its shutdown
        server.run(sockets=[server_socket])
    print(f"stopped; submissions in {options.store}: {len(store.entries()):,}")
    return 0


def _listen(host: str, port: int) -> socket.socket:
    """Open a listening socket; print a warning if other machines can reach it."""
    try:
        family, *_, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        # host=:: accepts IPv4 too.
        dual = family == socket.AF_INET6 and socket.has_dualstack_ipv6()
        server_socket = socket.create_server(
            address, family=family, backlog=128, dualstack_ipv6=dual
        )
    except (OSError, UnicodeError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).partition(" (while")[0]
        raise BenchError(
            f"host={host} port={port}: cannot listen ({reason.lower()}); give another "
            "address, or port=0 for a free port"
        ) from None
    if not ipaddress.ip_address(server_socket.getsockname()[0].partition("%")[0]).is_loopback:
        print(
            f"warning: host={host} accepts unencrypted connections from other machines; set "
            f"{TOKEN_VARIABLE} so that strangers cannot submit",
            file=sys.stderr,
        )
    return server_socket


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command; see `command_line.main` for `arguments` and the exit code."""
    return command(Competition, serve, program=PROGRAM, arguments=arguments)
