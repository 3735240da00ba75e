"""A local web server that sends the replies a test defines, faulty ones included."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread

CHUNK = 16 * 1024


@dataclass(frozen=True)
class ReceivedRequest:
    """A request as received; header names are in lower case."""

    method: str
    path: str  # with the query
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    """A reply of the server.

    `stop_after` closes the connection after that many bytes of the body, although Content-Length
    promised all of them. `pause` is the time before the reply in seconds, `slow` the time after
    each chunk of the body (16 KiB). `headers` override the default headers, Content-Length too;
    a value of None omits the header.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str | None] = field(default_factory=dict)
    stop_after: int | None = None
    pause: float = 0
    slow: float = 0


Answer = Callable[[ReceivedRequest], Reply | None]


@dataclass(frozen=True)
class Server:
    """A running server: its address and the requests received so far, in order."""

    url: str
    requests: list[ReceivedRequest]

    def paths(self) -> list[str]:
        """Return the paths of the requests, in order."""
        return [request.path for request in self.requests]


@contextmanager
def serving(answer: Answer) -> Iterator[Server]:
    """Serve on a free port of 127.0.0.1 until the block ends.

    Where `answer` returns None, the connection is closed without a reply.
    """
    received: list[ReceivedRequest] = []
    lock = Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = ReceivedRequest(self.command, self.path, headers, body)
            with lock:
                received.append(request)
            reply = answer(request)
            if reply is None:
                self.close_connection = True
                return
            time.sleep(reply.pause)
            try:
                self.reply(reply)
            except ConnectionError:  # the client has gone
                self.close_connection = True

        def reply(self, reply: Reply) -> None:
            self.send_response(reply.status)
            for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
                if value is not None:
                    self.send_header(name, value)
            if "Content-Length" in reply.headers and reply.headers["Content-Length"] is None:
                self.send_header("Connection", "close")  # marks the end of the body
            self.end_headers()
            if self.command == "HEAD":
                return
            body = reply.body if reply.stop_after is None else reply.body[: reply.stop_after]
            for start in range(0, len(body), CHUNK):
                self.wfile.write(body[start : start + CHUNK])
                time.sleep(reply.slow)
            if reply.stop_after is not None:
                self.close_connection = True

        do_GET = do_POST = do_HEAD = do_PUT = answer

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    class Threading(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            pass

    server = Threading(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield Server(f"http://127.0.0.1:{server.server_port}", received)
    finally:
        server.shutdown()
        server.server_close()


def in_parts(body: bytes, request: ReceivedRequest, *, etag: str = '"1"') -> Reply:
    """Return a file as a server that supports range requests sends it."""
    byte_range = request.headers.get("range", "")
    is_unchanged = request.headers.get("if-range", etag) == etag
    headers: dict[str, str | None] = {"ETag": etag, "Accept-Ranges": "bytes"}
    if not (byte_range.startswith("bytes=") and is_unchanged):
        return Reply(200, body, headers)
    start = int(byte_range.removeprefix("bytes=").partition("-")[0])
    if start >= len(body):
        return Reply(416, b"", {**headers, "Content-Range": f"bytes */{len(body)}"})
    headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
    return Reply(206, body[start:], headers)
