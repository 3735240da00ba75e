"""Public IP addresses, and those of this machine and its network."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052
_LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")  # RFC 8215


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


def leads_inside(url: str, target: str) -> bool:
    """Check whether a redirect from a public address leads to one that is not public.

    Names are resolved, in every spelling of an address that the system knows; one that cannot be
    resolved is not inside.
    """
    return _is_inside(target) and not _is_inside(url)


def _is_inside(url: str) -> bool:
    host = (urlsplit(url).hostname or "").rstrip(".")
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return not all(is_public(str(address[0])) for *_, address in found)


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
