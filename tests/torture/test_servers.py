"""A server under attack: 10,000 requests next to 250 slow connections."""

import socket
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import requests

from tests.competition_server import run_server, submission_json, write_photos

pytestmark = [pytest.mark.slow, pytest.mark.extra("competition")]

N_SLOW, N_REQUESTS, N_CLIENTS = 250, 10_000, 8
HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
BODY = b"POST /retrieval/ HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Length: 1000\r\n\r\n"


def keep_slow(port, source, sent, stopped, totals) -> None:
    """Keep one slow connection open, and open it again whenever the server closes it."""
    while not stopped.is_set():
        try:
            with socket.create_connection(("127.0.0.1", port), 10, (source, 0)) as slow:
                totals["opened"] += 1
                slow.sendall(sent)
                while not stopped.wait(1):
                    if sent:
                        slow.sendall(b"x")
                    slow.settimeout(0.01)
                    try:
                        if not slow.recv(1000):
                            break
                    except TimeoutError:
                        pass
        except OSError:
            totals["refused"] += 1
            stopped.wait(0.5)


@pytest.mark.parametrize(
    "sources",
    ["one address", "250 addresses", "250 addresses, bodies only", "address of the others"],
)
def test_slow_connections_do_not_delay_others(tmp_path, sources) -> None:
    root = write_photos(tmp_path)
    with run_server(f"root={root}", cwd=tmp_path) as server:
        port = int(server.url.rpartition(":")[2])
        stopped, totals = threading.Event(), Counter()
        kinds = (b"", HEAD, BODY % port)[2 if "only" in sources else 0 :]
        slow = [
            threading.Thread(
                target=keep_slow,
                args=(
                    port,
                    {
                        "one address": "127.0.0.2",
                        "address of the others": "127.0.0.1",
                    }.get(sources, f"127.0.1.{1 + i}"),
                    # Bodies of their own address count against its limit of submissions.
                    kinds[i % (2 if sources == "address of the others" else len(kinds))],
                    stopped,
                    totals,
                ),
            )
            for i in range(N_SLOW)
        ]
        for each in slow:
            each.start()
        time.sleep(2)

        def request(session, number):
            started = time.perf_counter()
            for _ in range(5):
                try:
                    send(session, number)
                    break
                except requests.ConnectionError:  # replaced while idle, by a slow one
                    totals["retried"] += 1
            times.append(time.perf_counter() - started)

        def send(session, number):
            if number % 1000 == 0:
                url, body = f"{server.url}/retrieval/", submission_json()
                codes[session.post(url, body, timeout=30).status_code] += 1
            else:
                codes[session.get(f"{server.url}/", timeout=30).status_code] += 1

        def client(first):
            with requests.Session() as session:
                for number in range(first, N_REQUESTS, N_CLIENTS):
                    request(session, number)

        times: list[float] = []
        codes: Counter[int] = Counter()
        with ThreadPoolExecutor(N_CLIENTS) as pool:
            list(pool.map(client, range(N_CLIENTS)))
        stopped.set()
        for each in slow:
            each.join()
    p50, p99 = np.percentile(times, [50, 99]) * 1000
    print(
        f"\n{sources}: {len(times):,} requests, {dict(codes)}, p50 {p50:.1f} ms, p99 {p99:.1f} ms, "
        f"longest {max(times) * 1000:.0f} ms; slow: {dict(totals)}"
    )
    assert codes == {200: N_REQUESTS}
    assert p99 < 1000
    assert sources == "address of the others" or totals["retried"] == 0
