"""Connections to public addresses only, whatever the host name or redirect."""

import socket
import subprocess
import sys
from threading import Thread

import pytest

from outliers_bench.apps.collect.addresses import (
    RefusedAddressError,
    refuse_private_addresses,
)
from outliers_bench.runtime.public_addresses import is_public
from tests.apps.collect.web import encoded_photo, read_rows, write_url_list
from tests.servers import Reply, serving

PRIVATE = [
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "169.254.169.254", "100.64.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1",
    "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "fec0::1",
    "ff02::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe",
    "64:ff9b::7f00:1", "64:ff9b::10.0.0.1", "64:ff9b:1::1", "2002:7f00:1::", "2002:c0a8:101::1",
    "localhost", "2130706433", "127.1", "",
]  # fmt: skip
PUBLIC = [
    "1.1.1.1", "8.8.8.8", "172.32.0.1", "192.169.0.1", "223.255.255.255", "2606:4700::1111",
    "::ffff:8.8.8.8", "64:ff9b::808:808", "2001:4860:4860::8888",
]  # fmt: skip


@pytest.mark.parametrize("host", PRIVATE)
def test_private_addresses_are_refused(host: str) -> None:
    assert not is_public(host)


@pytest.mark.parametrize("host", PUBLIC)
def test_public_addresses_are_allowed(host: str) -> None:
    assert is_public(host)


@pytest.mark.extra("collect")
def test_a_reactor_connects_to_public_addresses_only() -> None:
    class Reactor:
        def __init__(self) -> None:
            self.connected = []

        def connectTCP(self, host, port, factory, timeout=30, bindAddress=None):
            self.connected.append((host, port, timeout))
            return "connection"

    reactor = Reactor()
    refuse_private_addresses(reactor)
    with pytest.raises(RefusedAddressError, match=r"127\.0\.0\.1 is not a public address"):
        reactor.connectTCP("127.0.0.1", 80, None)
    assert reactor.connectTCP("8.8.8.8", 80, None, timeout=3) == "connection"
    assert reactor.connected == [("8.8.8.8", 80, 3)]


# In this script, 127.0.0.1 is the public web and 127.0.0.2 the private network.
SCRIPT = """
import socket, sys
from outliers_bench.apps.collect import addresses

is_public, getaddrinfo, lookups = addresses.is_public, socket.getaddrinfo, []
addresses.is_public = lambda host: host == "127.0.0.1" or is_public(host)

def rebinding(host, *rest, **options):
    if host == "rebinds.example":
        lookups.append(host)
        host = "127.0.0.2" if len(lookups) > 1 else "127.0.0.1"
    elif host == "inside.example":
        host = "127.0.0.2"
    return getaddrinfo(host, *rest, **options)

socket.getaddrinfo = rebinding
import scrapy.resolver  # its cache would hide the second answer
scrapy.resolver.CachingHostnameResolver.install_on_reactor = lambda self: None
from outliers_bench.apps.collect.command import Collect, collect, main
code = main(Collect, collect, program="collect")
sys.exit(code)
"""


@pytest.mark.extra("collect")
def test_no_redirect_and_no_host_name_leads_to_a_private_address(tmp_path) -> None:
    inside = socket.socket()
    inside.bind(("127.0.0.2", 0))
    inside.listen()
    connections = []

    def receive() -> None:
        while True:
            try:
                connection, client = inside.accept()
            except OSError:
                return
            connections.append(client)
            connection.close()

    Thread(target=receive, daemon=True).start()
    private_port = inside.getsockname()[1]

    def answer(request):
        if request.path == "/moved.jpg":
            return Reply(302, headers={"Location": f"http://127.0.0.2:{private_port}/lion.jpg"})
        if request.path == "/named.jpg":
            target = f"http://inside.example:{private_port}/lion.jpg"
            return Reply(302, headers={"Location": target})
        return Reply(200, encoded_photo(1), headers={"Connection": "close"})

    with serving(answer) as server:
        public_port = server.url.rpartition(":")[2]
        urls = [
            f"{server.url}/lion.jpg",
            f"{server.url}/moved.jpg",
            f"{server.url}/named.jpg",
            f"http://127.0.0.2:{private_port}/lion.jpg",
            f"http://inside.example:{private_port}/lion.jpg",
            f"http://127.2:{private_port}/lion.jpg",
            f"http://2130706434:{private_port}/lion.jpg",
            f"http://0x7f000002:{private_port}/lion.jpg",
            f"http://[::ffff:127.0.0.2]:{private_port}/lion.jpg",
            f"http://rebinds.example:{public_port}/a.jpg",
            f"http://rebinds.example:{private_port}/b.jpg",
        ]
        write_url_list(tmp_path / "list.csv", [(url, "lion") for url in urls])
        options = ("urls=list.csv", "into=zoo", "delay=0", "retries=0", "per_host=1")
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, *options],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    inside.close()
    failures = {row["url"]: row for row in read_rows(tmp_path / "zoo/not_collected.csv")}
    assert connections == []
    assert (done.returncode, done.stderr) == (1, "")
    for url in urls[1:]:
        assert failures[url]["status"] == "address", failures[url]
        assert failures[url]["reason"].endswith(
            "is not a public address; allow_private=true allows it"
        )
    assert [row["url"] for row in read_rows(tmp_path / "zoo/collected.csv")] == urls[:1]
