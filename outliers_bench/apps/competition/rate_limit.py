"""What keeps one client from taking the server from the others."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from typing import TYPE_CHECKING

from outliers_bench.apps.competition.check import RefusedError

if TYPE_CHECKING:
    from fastapi import Request

_MINUTE = 60.0
_CLIENTS = 10_000  # addresses that are remembered
_PATIENCE = 60.0  # seconds in which a submission must have come
_POLITE = 4  # so many times what is allowed is read and thrown away, so that the answer is heard


class PerMinute:
    """How often each client has come within the last minute.

    Parameters
    ----------
    most : int
        How often it may.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._came: OrderedDict[str, deque[float]] = OrderedDict()

    def admit(self, client: str, now: float) -> None:
        """Count a client in.

        Parameters
        ----------
        client : str
            Its address.
        now : float
            Seconds, of a clock that is never set.

        Raises
        ------
        RefusedError
            429 if it came too often; being refused does not count.
        """
        came = self._came.setdefault(client, deque())
        self._came.move_to_end(client)
        while came and came[0] <= now - _MINUTE:
            came.popleft()
        if len(came) >= self._most:
            raise RefusedError(
                429,
                f"more than {self._most:,} submissions within a minute from your address",
                wait=came[0] + _MINUTE - now,
            )
        came.append(now)
        while len(self._came) > _CLIENTS:
            self._came.popitem(last=False)


async def read_body(request: Request, *, most: int) -> bytes:
    """A request's body, counted while it comes: its Content-Length may lie.

    Parameters
    ----------
    request : Request
        Whose body has not been read.
    most : int
        Bytes that are kept. Of more, some are still read, for a client that is cut off in the
        middle of sending does not hear why.

    Raises
    ------
    RefusedError
        413 if it is longer, 408 if it does not come within a minute, 400 if it breaks off.
    """
    from starlette.requests import ClientDisconnect

    read, body = 0, bytearray()
    try:
        async with asyncio.timeout(_PATIENCE):
            async for piece in request.stream():
                read += len(piece)
                if read <= most:
                    body += piece
                elif read > most * _POLITE:
                    break
    except TimeoutError:
        raise RefusedError(408, "the submission did not come within a minute") from None
    except ClientDisconnect:
        raise RefusedError(400, "the submission broke off") from None
    if read > most:
        raise RefusedError(413, f"the submission is larger than {most:,} bytes")
    return bytes(body)
