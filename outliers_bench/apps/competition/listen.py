"""The address that a server listens at."""

from __future__ import annotations

import ipaddress
import socket
import sys

from outliers_bench.apps.submit.options import TOKEN
from outliers_bench.errors import BenchError


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens, with a warning where other machines can reach it.

    Parameters
    ----------
    host : str
        Name or address of this machine.
    port : int
        0 takes a free one.

    Raises
    ------
    BenchError
        If the address cannot be had.
    """
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


def address_of(listening: socket.socket) -> str:
    """Where a browser finds it."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
