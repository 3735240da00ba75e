"""Restriction of network connections to public IP addresses.

A host name, a redirect or a DNS answer that changes between lookup and connection can lead from a
list by a stranger into the local network (server-side request forgery, CWE-918). Therefore the
numeric address is checked, last, in the call that opens the connection.
"""

from __future__ import annotations

from functools import wraps
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any

_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052
_LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")  # RFC 8215


class RefusedAddressError(Exception):
    """A connection to an address that is not public.

    Not an `OSError`, because Scrapy would retry one.
    """


def is_public(host: str) -> bool:
    """Check that a host is a numeric IPv4 or IPv6 address that is public.

    An IPv4 address embedded in an IPv6 address (mapped, 6to4, Teredo, NAT64) is checked as well.
    """
    try:
        addresses = _effective_addresses(ip_address(host))
    except ValueError:  # an address that cannot be checked is not connected to
        return False
    return not any(
        not address.is_global
        or address.is_multicast
        or address.is_reserved
        or (isinstance(address, IPv6Address) and address.is_site_local)
        or address in _LOCAL_NAT64
        for address in addresses
    )


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


def _effective_addresses(address: IPv4Address | IPv6Address) -> list[IPv4Address | IPv6Address]:
    """Return the addresses to check: the address itself, or those embedded in it."""
    if isinstance(address, IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address.sixtofour is not None:
        return [address, address.sixtofour]
    if address.teredo is not None:
        return [address, *address.teredo]
    if address in _NAT64:
        return [IPv4Address(int(address) & 0xFFFFFFFF)]
    return [address]
