"""A real MLflow server behind a proxy, which kills it at a chosen request."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import requests

from tests.servers import ReceivedRequest, Reply

HOP_BY_HOP = ("connection", "keep-alive", "transfer-encoding", "content-encoding", "date", "server")


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class MlflowServer:
    """An MLflow server on a database and a folder of artifacts in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = f"sqlite:///{folder}/mlflow.db"
        self._process: subprocess.Popen[bytes] | None = None
        self._url = ""

    def start(self) -> None:
        """Start the server and wait until it answers."""
        port = free_port()
        self._url = f"http://127.0.0.1:{port}"
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "uvicorn", "mlflow.server.fastapi_app:app"),
                *("--host", "127.0.0.1", "--port", str(port), "--log-level", "error"),
            ],
            cwd=self.folder,
            env={
                "PATH": "/usr/bin:/bin",
                "_MLFLOW_SERVER_FILE_STORE": self.database,
                "_MLFLOW_SERVER_REGISTRY_STORE": self.database,
                "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
                "_MLFLOW_SERVER_ARTIFACT_DESTINATION": str(self.folder / "artifacts"),
                "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
                "MLFLOW_DISABLE_TELEMETRY": "true",
            },
        )
        deadline = time.monotonic() + 120
        while True:
            try:
                if requests.get(f"{self._url}/health", timeout=5).ok:
                    return
            except requests.ConnectionError:
                pass
            assert self._process.poll() is None, "the server has ended"
            assert time.monotonic() < deadline
            time.sleep(0.1)

    @property
    def is_alive(self) -> bool:
        return self._process is not None

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def forward(self, request: ReceivedRequest) -> Reply | None:
        """Answer as the server does; None, which closes the connection, if it was killed."""
        if self._process is None:
            return None
        headers = {k: v for k, v in request.headers.items() if k not in ("host", "connection")}
        try:
            answer = requests.request(
                request.method,
                self._url + request.path,
                data=request.body,
                headers=headers | {"Accept-Encoding": "identity"},
                timeout=60,
            )
        except requests.ConnectionError:
            return None
        passed = {k: v for k, v in answer.headers.items() if k.lower() not in HOP_BY_HOP}
        passed.pop("Content-Length", None)
        return Reply(answer.status_code, answer.content, passed)


def killing(
    server: MlflowServer, matches: Callable[[ReceivedRequest], bool], *, number: int, after: bool
) -> Callable[[ReceivedRequest], Reply | None]:
    """Return a proxy that kills the server at the `number`-th request that matches.

    With `after`, the server does what was requested, but does not answer.
    """
    seen = 0

    def answer(request: ReceivedRequest) -> Reply | None:
        nonlocal seen
        if server.is_alive and matches(request):
            seen += 1
            if seen == number:
                if after:
                    server.forward(request)
                server.kill()
        return server.forward(request)

    return answer
