"""Which addresses a stranger's list may make this machine connect to: public ones.

A name, a redirect or a DNS answer that changes between look-up and connection can lead into the
network this machine stands in (server-side request forgery, CWE-918). So what counts is checked
last: the numeric address, in the call that opens the connection.
"""

from __future__ import annotations

from functools import wraps
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any

_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052
_LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")  # RFC 8215


class RefusedAddressError(Exception):
    """A connection to an address that is not public; no OSError, which would be tried again."""


def refusal(host: str) -> str | None:
    """Why a numeric address must not be connected to; None if it is public.

    Parameters
    ----------
    host : str
        An IPv4 or IPv6 address. Those that carry an IPv4 address (mapped, 6to4, Teredo, NAT64) are
        judged by that as well.
    """
    try:
        address = ip_address(host)
    except ValueError:  # nothing goes out whose address nobody has looked at
        return f"{host} is no numeric address"
    return next((why for each in _meant(address) if (why := _kind(each, host))), None)


def guard(reactor: Any) -> None:  # noqa: ANN401 - Twisted's reactor has no type of its own
    """Make a Twisted reactor refuse, before a byte is sent, connections that are not public."""
    connect = reactor.connectTCP

    @wraps(connect)
    def connect_public(host: str, *args: object, **options: object) -> object:
        why = refusal(host)
        if why is not None:
            raise RefusedAddressError(why)
        return connect(host, *args, **options)

    reactor.connectTCP = connect_public


def _meant(address: IPv4Address | IPv6Address) -> list[IPv4Address | IPv6Address]:
    """The address, or those that it carries."""
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


def _kind(address: IPv4Address | IPv6Address, host: str) -> str | None:
    site_local = isinstance(address, IPv6Address) and (
        address.is_site_local or address in _LOCAL_NAT64
    )
    kinds = (
        (address.is_unspecified, "unspecified"),
        (address.is_loopback, "loopback"),
        (address.is_link_local, "link-local"),
        (address.is_multicast, "multicast"),
        (address.is_reserved, "reserved"),
        (address.is_private or site_local, "private"),
        (not address.is_global, "not public"),
    )
    name = next((name for applies, name in kinds if applies), None)
    return None if name is None else f"{host} is {name}"
