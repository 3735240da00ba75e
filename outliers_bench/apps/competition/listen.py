"""Listening socket of the server."""

from __future__ import annotations

import ipaddress
import socket
import sys

from outliers_bench.apps.submit.options import TOKEN_VARIABLE
from outliers_bench.errors import BenchError


def listen(host: str, port: int) -> socket.socket:
    """Open a listening socket; print a warning if other machines can reach it.

    Parameters
    ----------
    host : str
        Name or address of this machine.
    port : int
        Port; 0 selects a free one.

    Returns
    -------
    socket

    Raises
    ------
    BenchError
        If the address is not available.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        server_socket = socket.socket(family, kind, protocol)
        try:
            server_socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server_socket.bind(address)
            server_socket.listen(128)
        except OSError:
            server_socket.close()
            raise
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
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


def url_of(server_socket: socket.socket) -> str:
    """Return the URL of a listening socket."""
    host, port = server_socket.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
