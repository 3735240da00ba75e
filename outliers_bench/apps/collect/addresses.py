"""Restriction of network connections to public IP addresses.

A host name, a redirect or a DNS answer that changes between lookup and connection can lead from a
list by a stranger into the local network (server-side request forgery, CWE-918). Therefore the
numeric address is checked, last, in the call that opens the connection.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

from outliers_bench.runtime.public_addresses import is_public


class RefusedAddressError(Exception):
    """A connection to an address that is not public.

    Not an `OSError`, because Scrapy would retry one.
    """


def refuse_private_addresses(reactor: Any) -> None:  # noqa: ANN401 - Twisted's reactor has no type
    """Make a Twisted reactor refuse connections to addresses that are not public.

    The connection is refused before a byte is sent.
    """
    connect = reactor.connectTCP

    @wraps(connect)
    def connect_public(host: str, *args: object, **options: object) -> object:
        if not is_public(host):
            raise RefusedAddressError(f"{host} is not a public address")
        return connect(host, *args, **options)

    reactor.connectTCP = connect_public
