"""Calls of the command line: in a subprocess, or faster in this process."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra


@dataclass
class Done:
    code: int
    out: str
    err: str


def bench(*arguments: str, cwd: Path, module: str = "outliers_bench", **env: str) -> Done:
    """Run `python -m outliers_bench ...` in a subprocess."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=cwd,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def in_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> Done:
    """Run the command line without a new interpreter, for many small cases."""
    from outliers_bench.cli.main import main

    GlobalHydra.instance().clear()
    handlers = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGHUP)}
    _forget_absl_handlers()
    # Set first, so that the value set by main() is undone at the end of the test.
    monkeypatch.setenv("HYDRA_FULL_ERROR", "")
    monkeypatch.delenv("HYDRA_FULL_ERROR")
    monkeypatch.setattr(sys, "argv", ["outliers_bench", *arguments])
    code = 0
    try:
        main()
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    captured = capsys.readouterr()
    return Done(code, captured.out, captured.err)


def _forget_absl_handlers() -> None:
    """Remove absl's log handlers, which Hydra would close together with the stderr of pytest.

    They exist only if an earlier test has imported TensorFlow.
    """
    handlers = logging._handlerList
    handlers[:] = [ref for ref in handlers if not type(ref()).__module__.startswith("absl")]
