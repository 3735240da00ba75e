"""A web server on this machine that answers as a test tells it to, badly too."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread

PIECE = 16 * 1024


@dataclass(frozen=True)
class Asked:
    """What a client sent; the names of the headers in lower case."""

    method: str
    path: str  # with the query
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    """What the server sends.

    `stop_after` closes the connection after so many bytes of the body, though Content-Length
    promised all; `pause` are seconds before anything is sent, `slow` those between pieces of the
    body (16 KiB). `headers` go before what the server would send of itself, Content-Length too:
    None leaves one out.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str | None] = field(default_factory=dict)
    stop_after: int | None = None
    pause: float = 0
    slow: float = 0


Answer = Callable[[Asked], Reply | None]


@dataclass(frozen=True)
class Server:
    """Where it listens, and what it was asked, in order."""

    url: str
    asked: list[Asked]

    def paths(self) -> list[str]:
        """What was asked for."""
        return [asked.path for asked in self.asked]


@contextmanager
def serving(answer: Answer) -> Iterator[Server]:
    """Serve on a free port of 127.0.0.1 until the block ends; an answer of None closes at once."""
    known: list[Asked] = []
    lock = Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, self.path, headers, body)
            with lock:
                known.append(asked)
            reply = answer(asked)
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
                self.send_header("Connection", "close")  # the end of the body is the connection's
            self.end_headers()
            if self.command == "HEAD":
                return
            body = reply.body if reply.stop_after is None else reply.body[: reply.stop_after]
            for start in range(0, len(body), PIECE):
                self.wfile.write(body[start : start + PIECE])
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
        yield Server(f"http://127.0.0.1:{server.server_port}", known)
    finally:
        server.shutdown()
        server.server_close()


def in_parts(body: bytes, asked: Asked, *, etag: str = '"1"') -> Reply:
    """A file as a server with ranges sends it: the rest where the client has a beginning of it."""
    wanted = asked.headers.get("range", "")
    fresh = asked.headers.get("if-range", etag) == etag
    headers: dict[str, str | None] = {"ETag": etag, "Accept-Ranges": "bytes"}
    if not (wanted.startswith("bytes=") and fresh):
        return Reply(200, body, headers)
    start = int(wanted.removeprefix("bytes=").partition("-")[0])
    if start >= len(body):
        return Reply(416, b"", {**headers, "Content-Range": f"bytes */{len(body)}"})
    headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
    return Reply(206, body[start:], headers)
