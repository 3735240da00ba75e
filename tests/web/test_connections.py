"""Slow and numerous connections, over real sockets, with short limits."""

import asyncio
import socket
import threading
import time

import pytest

pytestmark = pytest.mark.extra("competition")


@pytest.fixture(scope="module")
def port():
    import uvicorn

    from outliers_bench.web import connections

    async def app(scope, receive, send):
        n_read, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            n_read += len(message["body"])
            more = message["more_body"]
        body = b"x" * 20_000_000 if scope["path"] == "/long" else b"%d" % n_read
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connections, "HEAD_SECONDS", 0.3)
        patch.setattr(connections, "BODY_SECONDS", 0.3)
        patch.setattr(connections, "BYTES_PER_SECOND", 10**9)
        patch.setattr(connections, "PER_ADDRESS", 4)
        patch.setattr(connections, "MAX_CONNECTIONS", 6)
        listening = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(
            app, http=connections.LimitedProtocol, ws="none", lifespan="off", log_level="error"
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(
            target=lambda: asyncio.run(server.serve(sockets=[listening])), daemon=True
        )
        thread.start()
        yield listening.getsockname()[1]
        server.should_exit = True
        thread.join(10)


def connect(port, sent=b"", source="127.0.0.1"):
    connection = socket.create_connection(("127.0.0.1", port), 10, source_address=(source, 0))
    connection.sendall(sent)
    return connection


def read_all(connection):
    received = b""
    try:
        while chunk := connection.recv(65536):
            received += chunk
    except ConnectionResetError:
        pass
    return received


GET = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4000\r\n\r\n"


@pytest.mark.parametrize(
    ("sent", "drip"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n", b"A"),
        (POST, b"A"),
        (GET.replace(b"close", b"keep-alive") + b"GET / HTTP/1.1\r\n", b"A"),
        (POST.replace(b"Content-Length: 4000", b"Transfer-Encoding: chunked"), b"1\r\nA\r\n"),
    ],
    ids=["head", "body", "second request", "chunks"],
)
def test_a_slow_request_is_disconnected(port, sent, drip) -> None:
    started = time.monotonic()
    with connect(port, sent) as connection:
        connection.setblocking(False)
        received = b""
        while time.monotonic() - started < 5:
            try:
                if not (chunk := connection.recv(65536)):
                    break
                received += chunk
            except BlockingIOError:
                pass
            except ConnectionResetError:
                break
            try:
                connection.send(drip)
            except OSError:
                break
            time.sleep(0.05)
    assert 0.2 < time.monotonic() - started < 2
    assert b"408 Request Timeout" in received


def test_a_client_that_does_not_read_its_response_is_disconnected(port) -> None:
    with connect(port, GET.replace(b"GET /", b"GET /long")) as connection:
        time.sleep(0.6)
        assert len(read_all(connection)) < 20_000_000


def test_a_new_connection_replaces_the_slowest_of_its_address(port) -> None:
    slow = [connect(port) for _ in range(4)]
    time.sleep(0.1)
    with connect(port, GET) as honest:
        assert b"200 OK" in read_all(honest)
    assert read_all(slow[0]) == b""
    for each in slow:
        each.close()


def test_slow_bodies_of_many_addresses_do_not_lock_out_others(port) -> None:
    slow = [connect(port, POST, f"127.0.0.{3 + i}") for i in range(6)]
    time.sleep(0.1)
    with connect(port, GET, "127.0.0.2") as other:
        assert b"200 OK" in read_all(other)
    assert read_all(slow[0]) == b""
    for each in slow:
        each.close()


def test_responses_that_are_not_read_do_not_lock_out_others(port) -> None:
    long = GET.replace(b"GET /", b"GET /long")
    slow = [connect(port, long, f"127.0.0.{3 + i}") for i in range(6)]
    time.sleep(0.1)
    with connect(port, GET, "127.0.0.2") as other:
        assert b"200 OK" in read_all(other)
    for each in slow:
        each.close()


def test_a_body_that_arrives_in_time_is_not_replaced(port, monkeypatch) -> None:
    from outliers_bench.web import connections

    monkeypatch.setattr(connections, "BYTES_PER_SECOND", 10_000)
    with connect(port, POST + b"x" * 3000, "127.0.0.9") as honest:
        time.sleep(0.05)
        slow = [connect(port, POST, f"127.0.0.{3 + i}") for i in range(5)]
        time.sleep(0.05)
        slow += [connect(port, b"", "127.0.0.8") for _ in range(3)]
        honest.sendall(b"x" * 1000)
        assert honest.recv(65536).startswith(b"HTTP/1.1 200 OK")
    for each in slow:
        each.close()


def test_an_address_with_many_requests_in_progress_does_not_lock_out_others(port) -> None:
    slow = [connect(port, POST) for _ in range(4)]
    time.sleep(0.1)  # until their heads are read
    slow += [connect(port), connect(port)]
    with connect(port, GET, "127.0.0.2") as other:
        assert b"200 OK" in read_all(other)
    assert read_all(slow[0]) == read_all(slow[1]) == b""  # replaced, as furthest behind
    for each in slow:
        each.close()
