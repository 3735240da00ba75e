"""Requests of other web sites: wrong hosts, foreign origins, ambiguous bodies."""

import asyncio

import pytest

from outliers_bench.errors import BenchError
from outliers_bench.web.addresses import client_network, is_trusted, parse_networks
from outliers_bench.web.site_guard import SiteGuard, parse_host

pytestmark = pytest.mark.extra("competition")


def status(method="GET", *, loopback=True, allowed_hosts=(), **headers):
    """Status of the response of a guarded server at port 8000."""
    sent = []

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message):
        sent.append(message)

    guard = SiteGuard(app, port=8000, loopback=loopback, allowed_hosts=allowed_hosts)
    pairs = [(name.replace("_", "-").encode(), each.encode()) for name, each in headers.items()]
    scope = {"type": "http", "method": method, "path": "/", "headers": pairs}
    asyncio.run(guard(scope, None, send))
    return sent[0]["status"]


@pytest.mark.parametrize(
    "host", ["localhost:8000", "LOCALHOST:8000", "localhost.:8000", "127.0.0.1:8000", "[::1]:8000"]
)
def test_names_of_this_machine_are_accepted(host) -> None:
    assert status(host=host) == 200


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "evil.example:8000",
        "localhost",  # port 80
        "localhost:8001",
        "localhost.evil.example:8000",
        "localhost:8000@evil.example",
        "127.0.0.1.evil.example:8000",
        "192.168.0.7:8000",
        "0.0.0.0:8000",
        "localhost:x",
        "[::1",
    ],
)
def test_other_names_are_refused_where_only_this_machine_can_connect(host) -> None:
    assert status(host=host) == 421
    assert status(host=host, loopback=False) == 200
    assert status(host=host, loopback=False, allowed_hosts=["zoo.example"]) == 421


def test_allowed_hosts_are_accepted() -> None:
    for host in ("zoo.example", "ZOO.example.", "localhost:8000"):
        assert status(host=host, allowed_hosts=["Zoo.example"]) == 200
    assert status(host="zoo.example:81", allowed_hosts=["zoo.example"]) == 421
    for wrong in ("https://zoo.example", "zoo.example/", "", "zoo.example:x", "me@zoo.example"):
        with pytest.raises(BenchError, match="allowed_hosts="):
            parse_host(wrong)


HOST = {"host": "localhost:8000"}


@pytest.mark.parametrize(
    "headers",
    [
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "http://localhost:9000"},
        {"origin": "null"},
        {"origin": ""},
    ],
)
def test_posts_of_other_origins_are_refused(headers) -> None:
    assert status("POST", **HOST, **headers) == 403
    assert status("DELETE", **HOST, **headers) == 403
    assert status("GET", **HOST, **headers) == 200


def test_posts_of_the_same_origin_and_of_programs_are_accepted() -> None:
    assert status("POST", **HOST) == 200
    assert status("POST", **HOST, origin="http://localhost:8000") == 200
    assert status("POST", **HOST, sec_fetch_site="same-origin", origin="http://x") == 200
    names = ["zoo.example"]  # behind a proxy that encrypts, with the original Host or its own
    for host in ("zoo.example", "localhost:8000"):
        assert status("POST", host=host, origin="https://zoo.example", allowed_hosts=names) == 200


def test_a_body_with_two_lengths_is_refused() -> None:
    assert status("POST", **HOST, content_length="3", transfer_encoding="chunked") == 400


def test_limits_apply_to_networks_of_clients() -> None:
    assert client_network("::ffff:10.0.0.1") == client_network("10.0.0.1") == "10.0.0.1"
    assert client_network("2001:db8:1:2:3::4") == client_network("2001:db8:1:2::9%eth0")
    assert client_network("2001:db8:1:3::1") != client_network("2001:db8:1:2::1")
    proxies = parse_networks(["172.16.0.1/12"])
    assert is_trusted("172.17.0.2", proxies)
    assert is_trusted("::ffff:172.17.0.2", proxies)
    assert not is_trusted("10.0.0.1", proxies)
    with pytest.raises(BenchError, match="trusted_proxies=proxy: give addresses"):
        parse_networks(["proxy"])
