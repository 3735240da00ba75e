"""Protection against other web sites: DNS rebinding, and requests of foreign pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from outliers_bench.errors import BenchError
from outliers_bench.web.addresses import is_loopback
from outliers_bench.web.refusal import RefusedError, handle_refused

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_DEFAULT_PORTS = {"http": 80, "https": 443}


class SiteGuard:
    """ASGI middleware that refuses requests of other web sites.

    - 421 if the server is reached under a name that is not its own. A page can point its own name
      at this machine (DNS rebinding) and would then be of the same origin.
    - 403 if a page of another origin sends something, by the rules of Go's CrossOriginProtection:
      `Sec-Fetch-Site`, or else `Origin`. Programs such as curl send neither.
    - 400 if the length of the body is given in two ways, which a proxy may understand differently.

    Parameters
    ----------
    app : ASGI application
    port : int
        Port that the server listens at.
    loopback : bool
        Whether only this machine can connect. Names are then checked: localhost, loopback
        addresses and `allowed_hosts`. Otherwise, they are checked if there are `allowed_hosts`.
    allowed_hosts : sequence of str
        Further names of the server, with a port unless it is that of http or https.
    """

    def __init__(
        self, app: ASGIApp, *, port: int, loopback: bool, allowed_hosts: Sequence[str] = ()
    ) -> None:
        self._app = app
        self._port = port
        self._checks_host = loopback or bool(allowed_hosts)
        self._allowed = {parse_host(name) for name in allowed_hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a refused request, and pass on every other."""
        if scope["type"] == "http":
            from starlette.requests import Request

            request = Request(scope)
            try:
                self._check(request.method, dict(request.headers))
            except RefusedError as error:
                await (await handle_refused(request, error))(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, method: str, headers: dict[str, str]) -> None:
        host = headers.get("host", "")
        if self._checks_host and not self._is_own(host):
            raise RefusedError(
                421,
                "this server does not answer under the name in your URL; use its address, or "
                "start it with allowed_hosts=<name>",
            )
        if "transfer-encoding" in headers and "content-length" in headers:
            raise RefusedError(400, "the length of the body is given in two ways")
        if method not in _SAFE_METHODS and self._is_cross_site(host, headers):
            raise RefusedError(403, "pages of other web sites cannot send anything to this server")

    def _is_own(self, host: str) -> bool:
        try:
            name, port = parse_host(host)
        except BenchError:
            return False
        if (name, port) in self._allowed:
            return True
        return (port or 80) == self._port and is_loopback(name)

    def _is_cross_site(self, host: str, headers: dict[str, str]) -> bool:
        if site := headers.get("sec-fetch-site"):
            return site not in ("same-origin", "none")
        if (origin := headers.get("origin")) is None:
            return False
        scheme, _, address = origin.partition("://")
        try:
            sender, own = parse_host(address), parse_host(host)
        except BenchError:  # such as null
            return True
        default = _DEFAULT_PORTS.get(scheme)
        return _with_port(sender, default) not in {
            _with_port(each, default) for each in (own, *self._allowed)
        }


def parse_host(text: str) -> tuple[str, int | None]:
    """Split a Host header into the name, in lower case and without a final dot, and the port.

    Raises
    ------
    BenchError
        If it is no host.
    """
    try:
        parts = urlsplit(f"//{text}")
        name, port = parts.hostname, parts.port
    except ValueError:
        name = port = None
    if not name or parts.netloc != text or "@" in text or not text.isascii():
        raise BenchError(
            f"allowed_hosts={text}: give names without http:// and path, such as "
            "competition.example or competition.example:8443"
        )
    return name.removesuffix("."), port


def _with_port(host: tuple[str, int | None], default: int | None) -> tuple[str, int | None]:
    return host[0], host[1] or default
