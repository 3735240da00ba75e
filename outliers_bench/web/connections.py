"""Limits of connections: slow clients are disconnected, and none can lock out the others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from outliers_bench.web.addresses import client_network, is_trusted

HEAD_SECONDS = 10.0  # for the head of a request, since the connection or the last response
BODY_SECONDS = 10.0  # for a body or a response, and one more for every BYTES_PER_SECOND bytes
BYTES_PER_SECOND = 10_000
PER_ADDRESS = 40
MAX_CONNECTIONS = 200  # macOS allows 256 open files by default

_REASON = b'{"accepted": false, "error": "the request came too slowly"}'
_TIMED_OUT = (
    b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_REASON), _REASON)
)


class LimitedProtocol(H11Protocol):
    """HTTP/1.1 of uvicorn, with limits on time and on connections, which it does not have.

    The head of a request must arrive within `HEAD_SECONDS`; bodies and responses must keep a
    minimum rate, as with Apache's mod_reqtimeout. A new connection beyond `PER_ADDRESS` or
    `MAX_CONNECTIONS` replaces one that the server waits for, the one furthest behind
    `BYTES_PER_SECOND`; if it waits for none, the new one is closed. Trusted proxies have no limit
    per address.
    """

    transport: asyncio.Transport
    address: str
    since: float  # start of the phase, from the clock of the event loop
    _phase: tuple[object, object] | None = None
    _n_received = 0  # bytes in this phase
    _timers: dict[str, asyncio.TimerHandle]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the time for the head, unless there are too many connections."""
        super().connection_made(transport)
        self._timers = {}
        self.address = client_network(self.client[0] if self.client else "")
        # Without a buffer, a client that does not read its response is noticed.
        transport.set_write_buffer_limits(0)
        if self._find_room():
            self._watch()
        else:
            self._drop()

    def data_received(self, data: bytes) -> None:
        """Count the bytes, those with the end of a head as bytes of the body."""
        super().data_received(data)
        self._n_received += len(data)
        self._watch()

    def handle_events(self) -> None:
        """Handle what was received, and set the time for what is still to come."""
        super().handle_events()
        self._watch()

    def pause_writing(self) -> None:
        """Limit the time in which the client must read the response."""
        super().pause_writing()
        seconds = BODY_SECONDS + self.transport.get_write_buffer_size() / BYTES_PER_SECOND
        self._set_timer("write", self.loop.time() + seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """Remove the limit, because everything was read."""
        super().resume_writing()
        self._cancel("write")

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the limits."""
        super().connection_lost(exc)
        for name in ("read", "write"):
            self._cancel(name)

    def _watch(self) -> None:
        state = self.conn.their_state
        if (phase := (self.cycle, state)) != self._phase:
            self._phase, self.since, self._n_received = phase, self.loop.time(), 0
        if self.transport.is_closing() or state not in (h11.IDLE, h11.SEND_BODY):
            self._cancel("read")
        elif state is h11.IDLE:
            self._set_timer("read", self.since + HEAD_SECONDS, self._time_out)
        else:
            self._set_timer("read", self._progress() + BODY_SECONDS, self._time_out)

    def _time_out(self) -> None:
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self.transport.write(_TIMED_OUT)
        self.transport.close()

    def _find_room(self) -> bool:
        others = [
            each
            for each in self.connections
            if isinstance(each, LimitedProtocol) and each is not self
        ]
        same = [each for each in others if each.address == self.address]
        if is_trusted(self.client[0] if self.client else "", self.config.forwarded_allow_ips):
            same = []
        for group, limit in ((same, PER_ADDRESS), (others, MAX_CONNECTIONS)):
            if len(group) >= limit:
                waiting = [each for each in group if each._waits_for_client()]
                if not waiting:
                    return False
                min(waiting, key=LimitedProtocol._progress)._drop()
                return True  # with one less, both groups have room
        return True

    def _waits_for_client(self) -> bool:
        return self.conn.their_state in (h11.IDLE, h11.SEND_BODY) or self.flow.write_paused

    def _progress(self) -> float:
        """Return the time at which what was received would be due."""
        return self.since + self._n_received / BYTES_PER_SECOND

    def _drop(self) -> None:
        self.transport.abort()
        self.connections.discard(self)  # now, because `connection_lost` is called later

    def _set_timer(self, name: str, at: float, action: Callable[[], None]) -> None:
        self._cancel(name)
        self._timers[name] = self.loop.call_at(at, action)

    def _cancel(self, name: str) -> None:
        if timer := self._timers.pop(name, None):
            timer.cancel()
