"""Addresses of clients and proxies: loopback, trusted, and the network that limits apply to."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection

from outliers_bench.errors import BenchError


def is_loopback(name: str) -> bool:
    """Check whether a host name or address is that of this machine."""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def client_network(address: str) -> str:
    """Return the network that limits apply to: an IPv4 address, or the /64 of an IPv6 address.

    One customer usually has a /64 or more. What is no address is returned as it is.
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        if not parsed.is_loopback:
            return str(ipaddress.ip_network((parsed, 64), strict=False).network_address)
    return str(parsed)


def is_trusted(address: str, proxies: list[str] | str | None) -> bool:
    """Check whether an address is in one of the networks of the trusted proxies."""
    if not proxies or isinstance(proxies, str):
        return False
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in ipaddress.ip_network(network, strict=False) for network in proxies)


def parse_networks(proxies: Collection[str]) -> list[str]:
    """Return the networks of trusted proxies, IPv4 also as it appears to a dual-stack server.

    Raises
    ------
    BenchError
        If one is neither an address nor a network.
    """
    networks: list[str] = []
    for proxy in proxies:
        try:
            network = ipaddress.ip_network(proxy, strict=False)
        except ValueError:
            raise BenchError(
                f"trusted_proxies={proxy}: give addresses or networks, such as 10.0.0.1 or "
                "172.16.0.0/12"
            ) from None
        networks.append(str(network))
        if isinstance(network, ipaddress.IPv4Network):
            networks.append(f"::ffff:{network.network_address}/{96 + network.prefixlen}")
    return networks
