"""Redirects of mirrors: from a public address never to this machine or its network."""

import pytest
from requests import Response, Session
from requests.adapters import BaseAdapter

from outliers_bench.runtime.http import HttpError, request
from outliers_bench.runtime.public_addresses import leads_inside

INSIDE = (
    *("127.0.0.1", "127.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001"),
    *("127.0.0.1.", "localhost", "LOCALHOST.", "0.0.0.0", "0", "10.0.0.1", "172.16.0.1"),
    *("192.168.1.1", "169.254.169.254", "2852039166", "100.64.0.1", "[::1]", "[::]", "[fe80::1]"),
    *("[fd00::1]", "[::ffff:127.0.0.1]", "[::ffff:a9fe:a9fe]", "[64:ff9b::7f00:1]"),
    *("user@127.0.0.1", "8.8.8.8@127.0.0.1:80"),
)


@pytest.mark.parametrize("host", INSIDE)
def test_a_public_mirror_leads_nowhere_inside(host) -> None:
    assert leads_inside("http://8.8.8.8/a", f"http://{host}/b")
    assert not leads_inside("http://127.0.0.1/a", f"http://{host}/b")


@pytest.mark.parametrize("host", ["1.1.1.1", "[2606:4700:4700::1111]", "nowhere.invalid"])
def test_other_public_addresses_are_followed(host) -> None:
    assert not leads_inside("http://8.8.8.8/a", f"http://{host}/b")


def test_no_request_is_sent_inside() -> None:
    class Mirror(BaseAdapter):
        def send(self, sent, **_):
            requested.append(sent.url)
            response = Response()
            response.status_code, response.headers["Location"] = 302, "http://2852039166/latest"
            return response

        def close(self):
            pass

    requested: list[str] = []
    session = Session()
    session.mount("http://", Mirror())
    with pytest.raises(HttpError, match=r"redirected to http://2852039166/latest, an address of"):
        request(session, "GET", "http://8.8.8.8/photos.zip", timeouts=(1.0, 1.0))
    assert requested == ["http://8.8.8.8/photos.zip"]
