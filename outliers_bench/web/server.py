"""A server with the limits of this room: the listening socket, headers, settings of uvicorn."""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from outliers_bench.errors import BenchError
from outliers_bench.web.addresses import is_loopback, parse_networks

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_SHUTDOWN_TIMEOUT = 10  # seconds for requests in progress when the server ends
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def serve_until_interrupted(
    app: ASGIApp,
    listening: socket.socket,
    *,
    content_security_policy: str,
    allowed_hosts: Sequence[str],
    trusted_proxies: Sequence[str],
) -> None:
    """Serve an application until Ctrl-C; see `SiteGuard` and `LimitedProtocol` for the limits.

    Parameters
    ----------
    app : ASGI application
    listening : socket
        From `listen`.
    content_security_policy : str
        Header of every response.
    allowed_hosts : sequence of str
        Further names of the server.
    trusted_proxies : sequence of str
        Networks whose header `X-Forwarded-For` has the address of the client; any other client
        could forge it.
    """
    import uvicorn

    from outliers_bench.web.connections import LimitedProtocol
    from outliers_bench.web.site_guard import SiteGuard

    host, port = listening.getsockname()[:2]
    guard = SiteGuard(app, port=port, loopback=is_loopback(host), allowed_hosts=allowed_hosts)
    config = uvicorn.Config(
        guard,
        http=LimitedProtocol,
        ws="none",
        log_level="error",
        access_log=False,
        lifespan="off",
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=parse_networks(trusted_proxies),
        server_header=False,
        headers=[("Content-Security-Policy", content_security_policy), *_HEADERS.items()],
        timeout_graceful_shutdown=_SHUTDOWN_TIMEOUT,
    )
    with suppress(KeyboardInterrupt):  # uvicorn raises it again after its shutdown
        uvicorn.Server(config).run(sockets=[listening])


def listen(host: str, port: int, *, warning: str) -> socket.socket:
    """Open a listening socket; print a warning if other machines can reach it.

    Raises
    ------
    BenchError
        If the address is not available.
    """
    try:
        family, *_, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        # host=:: accepts IPv4 too.
        dual = family == socket.AF_INET6 and socket.has_dualstack_ipv6()
        listening = socket.create_server(address, family=family, backlog=128, dualstack_ipv6=dual)
    except (OSError, UnicodeError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).partition(" (while")[0]
        raise BenchError(
            f"host={host} port={port}: cannot listen ({reason.lower()}); give another "
            "address, or port=0 for a free port"
        ) from None
    if not is_loopback(listening.getsockname()[0]):
        print(
            f"warning: host={host} accepts unencrypted connections from other machines; {warning}",
            file=sys.stderr,
        )
    return listening


def url_of(listening: socket.socket) -> str:
    """Return the URL of a listening socket, without a final slash."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
